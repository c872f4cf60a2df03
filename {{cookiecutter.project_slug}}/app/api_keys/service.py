"""Rules and queries of API keys."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.api_keys.models import ApiKey
from app.audit import service as audit
from app.platform.api.pagination import CursorValue, newest_first
from app.platform.database.base import utc_now
from app.platform.personal_data import delete_in_portions, rows_as_dicts
from app.platform.security.access import INVALID_KEY
from app.platform.security.tokens import TokenError
from app.platform.web.caller import KEY_PREFIX, Caller
from app.platform.web.client_address import RequestOrigin

MAX_KEYS = 20  # valid keys per user
LAST_USED_RESOLUTION = timedelta(minutes=1)  # a frequently used key does not cost a write per request

# No capitals: MariaDB compares prefixes case-insensitively.
_PREFIX_ALPHABET = string.ascii_lowercase + string.digits
_KEY_PATTERN = re.compile(f"({KEY_PREFIX}[{_PREFIX_ALPHABET}]" + "{8})_([A-Za-z0-9_-]{43})")
_CHECKSUM_LENGTH = 6
_DUMMY_HASH = "0" * 64  # compared with if no key has the prefix, so that both cases take equally long


class SessionEnded(Exception):
    """The session that asked for the key has ended meanwhile."""


class TooManyKeys(Exception):
    """The user has `MAX_KEYS` valid keys already."""


def new_key_text() -> tuple[str, str]:
    """Return a new prefix and the text of a key with it: 37 random characters (222 bits) and a checksum.

    The checksum is no secret. It shows without a database query that a text is no key.
    """
    prefix = KEY_PREFIX + "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(8))
    unchecked = f"{prefix}_{secrets.token_urlsafe(32)[:-_CHECKSUM_LENGTH]}"
    return prefix, unchecked + _checksum(unchecked)


def is_well_formed(text: str) -> bool:
    """Whether a text has the form and the checksum of a key."""
    unchecked, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    return _KEY_PATTERN.fullmatch(text) is not None and hmac.compare_digest(_checksum(unchecked), checksum)


def _checksum(unchecked: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(unchecked.encode()).digest())[:_CHECKSUM_LENGTH].decode()


def create(
    session: Session,
    user_id: int,
    *,
    session_id: int,
    name: str,
    scopes: Sequence[str],
    origin: RequestOrigin,
    expires_in_days: int,
) -> tuple[ApiKey, str]:
    """Create a key for the user's session; return it with its text, which is not stored.

    Raises `TooManyKeys`, or `SessionEnded`: a concurrent change of the password revokes this key too.
    """
    exists = accounts.lock(session, user_id)  # before the checks, which concurrent requests must not pass together
    if not exists or not accounts.is_session_active(session, session_id):
        session.rollback()
        raise SessionEnded
    valid = sa.select(sa.func.count()).select_from(ApiKey).where(ApiKey.user_id == user_id, _is_valid())
    if session.scalars(valid).one() >= MAX_KEYS:
        session.rollback()
        raise TooManyKeys
    prefix, text = new_key_text()
    expires_at = utc_now() + timedelta(days=expires_in_days)
    key = ApiKey(
        user_id=user_id, name=name, prefix=prefix, key_hash=_hash(text), scopes=list(scopes), expires_at=expires_at
    )
    session.add(key)
    session.flush()
    _record(session, "api_key.created", key, user_id, origin, scopes=list(scopes))
    session.commit()
    return key, text


def keys(session: Session, user_id: int, limit: int, cursor: CursorValue | None) -> Sequence[ApiKey]:
    """Return up to `limit` + 1 keys of a user after the cursor, newest first, without revoked keys."""
    query = sa.select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return session.scalars(newest_first(query, ApiKey.created_at, ApiKey.id, limit, cursor)).all()


def all_keys(
    session: Session, limit: int, cursor: CursorValue | None = None, user_id: int | None = None
) -> Sequence[ApiKey]:
    """Return up to `limit` + 1 keys of all users, or of one, after the cursor, newest first, with revoked keys."""
    query = sa.select(ApiKey)
    if user_id is not None:
        query = query.where(ApiKey.user_id == user_id)
    return session.scalars(newest_first(query, ApiKey.created_at, ApiKey.id, limit, cursor)).all()


def revoke(session: Session, key_id: int, *, actor_id: int, origin: RequestOrigin, owner_id: int | None = None) -> bool:
    """Revoke a key, of this owner or of any; return False if there is none or it was revoked before."""
    query = sa.select(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    if owner_id is not None:
        query = query.where(ApiKey.user_id == owner_id)
    key = session.scalar(query.with_for_update())
    if key is None:
        return False
    key.revoked_at = utc_now()
    _record(session, "api_key.revoked", key, actor_id, origin)
    session.commit()
    return True


def revoke_all(session: Session, user_id: int, actor_id: int | None, origin: RequestOrigin) -> None:
    """Revoke every key of a user; the caller commits. Keys that are being created are revoked or not created."""
    accounts.lock(session, user_id)
    usable = (ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    ids = session.scalars(sa.select(ApiKey.id).where(*usable).order_by(ApiKey.id)).all()
    session.execute(sa.update(ApiKey).where(*usable).values(revoked_at=utc_now()))
    if ids:  # one entry, so that the number of statements does not grow with the keys
        audit.record(
            session, "api_keys.revoked", actor_id=actor_id, target=("user", user_id), origin=origin, keys=list(ids)
        )


def authenticate(session: Session, text: str) -> Caller:
    """Return the caller that a key authenticates; raises `TokenError`, with the same text for every reason.

    The caller's role is always user: API keys have no admin rights, not even those of an admin.
    """
    if not is_well_formed(text):
        raise TokenError(INVALID_KEY)
    key = session.scalar(
        sa.select(ApiKey).where(ApiKey.prefix == text[: text.index("_", len(KEY_PREFIX))], _is_valid())
    )
    if not hmac.compare_digest(key.key_hash if key else _DUMMY_HASH, _hash(text)) or key is None:
        raise TokenError(INVALID_KEY)
    caller = Caller(key.user_id, "user", None, frozenset(key.scopes))
    _record_use(session, key)
    return caller


def export(session: Session, user_id: int) -> list[dict[str, Any]]:
    """Return the stored data of a user's keys, without the hashes."""
    query = sa.select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.id)
    return rows_as_dicts(session, query, exclude=("key_hash", "user_id"))


def erase(session: Session, user_id: int) -> Iterator[None]:
    """Delete a user's keys in portions; yields after each."""
    for _ in delete_in_portions(session, ApiKey, user_id, (ApiKey.created_at, ApiKey.id)):
        yield


def _is_valid() -> sa.ColumnElement[bool]:
    not_expired = sa.or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > utc_now())
    return sa.and_(ApiKey.revoked_at.is_(None), not_expired)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _record_use(session: Session, key: ApiKey) -> None:
    """Store the time of use, at most once per `LAST_USED_RESOLUTION`; of concurrent requests, one writes."""
    time = utc_now()
    cutoff = time - LAST_USED_RESOLUTION
    if key.last_used_at and key.last_used_at > cutoff:
        return
    outdated = sa.or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= cutoff)
    session.execute(sa.update(ApiKey).where(ApiKey.id == key.id, outdated).values(last_used_at=time))
    session.commit()


def _record(session: Session, action: str, key: ApiKey, actor_id: int, origin: RequestOrigin, **details: Any) -> None:
    target = ("api_key", key.id)
    audit.record(session, action, actor_id=actor_id, target=target, origin=origin, prefix=key.prefix, **details)
