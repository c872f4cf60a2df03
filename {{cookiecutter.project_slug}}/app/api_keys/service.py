"""Rules and queries of API keys."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.api_keys.models import ApiKey
from app.audit import service as audit
from app.database import now
from app.pagination import before
from app.security.access import KEY_PREFIX
from app.security.tokens import Caller, TokenError

MOST_KEYS = 20  # good ones, of one user
USE_NOTED_EVERY = timedelta(minutes=1)  # so that a busy key does not cost a write per request

# Without capitals, since MariaDB does not tell them from small letters when it looks for a prefix.
_LETTERS = string.ascii_lowercase + string.digits
_SHAPE = re.compile(f"({KEY_PREFIX}[{_LETTERS}]" + "{8})_[A-Za-z0-9_-]{43}")
_NO_HASH = "0" * 64  # compared with where no key begins like the one that was sent


class TooManyKeys(Exception):
    """The user has `MOST_KEYS` good keys already."""


def make(
    session: Session,
    user_id: int,
    *,
    name: str,
    scopes: Sequence[str],
    origin: audit.Origin,
    expires_in_days: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; beside it its text, which is kept nowhere. Raises `TooManyKeys`."""
    _refuse_too_many(session, user_id)
    prefix = KEY_PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(8))
    text = f"{prefix}_{secrets.token_urlsafe(32)}"
    expires_at = now() + timedelta(days=expires_in_days) if expires_in_days else None
    key = ApiKey(
        user_id=user_id, name=name, prefix=prefix, key_hash=_hash(text), scopes=list(scopes), expires_at=expires_at
    )
    session.add(key)
    session.flush()
    _record(session, "api_key.created", key, origin, scopes=list(scopes))
    session.commit()
    return key, text


def _refuse_too_many(session: Session, user_id: int) -> None:
    """Keep the user's keys locked until the commit, so that two requests at a time do not both make the last one."""
    keys = sa.select(ApiKey.id).where(ApiKey.user_id == user_id, _is_good())
    session.scalars(keys.with_for_update()).all()
    if len(session.scalars(keys).all()) >= MOST_KEYS:  # asked again: the lock may have been waited for
        session.rollback()
        raise TooManyKeys


def keys(session: Session, user_id: int, limit: int, cursor: tuple[datetime, int] | None) -> Sequence[ApiKey]:
    """Up to `limit` + 1 keys of a user that were not revoked, newest first, from the cursor on."""
    query = sa.select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    if cursor:
        query = query.where(before(ApiKey.created_at, ApiKey.id, cursor))
    return session.scalars(query.order_by(ApiKey.created_at.desc(), ApiKey.id.desc()).limit(limit + 1)).all()


def revoke(session: Session, user_id: int, key_id: int, origin: audit.Origin) -> bool:
    """Have a user's key open nothing from now on; False when there is no such key of theirs that was good till now."""
    query = sa.select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    key = session.scalar(query.with_for_update())
    if key is None:
        return False
    key.revoked_at = now()
    _record(session, "api_key.revoked", key, origin)
    session.commit()
    return True


def check(session: Session, text: str) -> Caller:
    """Whom a key speaks for; raises `TokenError`, with the same text whatever is wrong with the key.

    Whoever made it, it has the role user: a key administers nothing.
    """
    shape = _SHAPE.fullmatch(text)
    prefix = shape[1] if shape else None
    found = session.scalar(sa.select(ApiKey).where(ApiKey.prefix == prefix, _is_good()))
    if not hmac.compare_digest(found.key_hash if found else _NO_HASH, _hash(text)) or found is None:
        raise TokenError("The API key is not valid.")
    caller = Caller(found.user_id, "user", None, frozenset(found.scopes))
    _note_use(session, found)
    return caller


def tell(session: Session, user_id: int) -> list[dict[str, Any]]:
    """Everything kept of a user's keys but the hashes, which are no use to the user."""
    columns = [column for column in ApiKey.__table__.columns if column.name not in ("key_hash", "user_id")]
    rows = session.execute(sa.select(*columns).where(ApiKey.user_id == user_id).order_by(ApiKey.id))
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def _is_good() -> sa.ColumnElement[bool]:
    in_time = sa.or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now())
    return sa.and_(ApiKey.revoked_at.is_(None), in_time)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _note_use(session: Session, key: ApiKey) -> None:
    """Keep when a key was last used; of several requests at a time, one writes."""
    time = now()
    if key.last_used_at and key.last_used_at > time - USE_NOTED_EVERY:
        return
    long_ago = sa.or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= time - USE_NOTED_EVERY)
    session.execute(sa.update(ApiKey).where(ApiKey.id == key.id, long_ago).values(last_used_at=time))
    session.commit()


def _record(session: Session, action: str, key: ApiKey, origin: audit.Origin, **details: Any) -> None:
    target = ("api_key", key.id)
    audit.record(session, action, actor_id=key.user_id, target=target, origin=origin, prefix=key.prefix, **details)
