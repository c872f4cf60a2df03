"""Rules and queries of accounts."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts.models import User, UserSession
from app.audit import service as audit
from app.database import now
from app.personal_data import tell_rows
from app.security.passwords import hash_password, needs_rehash, verify_password

_users = User.__table__.c
PROFILE = sa.select(_users.id, _users.email, _users.role, _users.display_name, _users.created_at).where(
    _users.id == sa.bindparam("user_id")
)
KEEP_SESSIONS = timedelta(days=30)  # how long it can be looked up that there was one


class EmailTaken(Exception):
    """There is an account with this e-mail already."""


class WrongPassword(Exception):
    """The password given as the current one is not."""


class ResetRefused(Exception):
    """The password has been changed since the reset was asked for, or the account is gone."""


class SessionEnded(Exception):
    """The session is over; nothing can be renewed in it."""


class TokenReused(Exception):
    """A refresh token came back after it had been exchanged, so somebody has a copy; the session has been ended."""


def register(
    session: Session,
    *,
    email: str,
    password: str,
    origin: audit.Origin,
    display_name: str | None = None,
    role: str = "user",
) -> User:
    """Make an account; raises `EmailTaken`. The e-mail is given in lower case."""
    user = User(email=email, password_hash=hash_password(password), display_name=display_name, role=role)
    session.add(user)
    try:
        session.flush()
    except IntegrityError:  # of two requests at a time, the database lets one through
        session.rollback()
        raise EmailTaken from None
    audit.record(session, "user.registered", actor_id=user.id, target=("user", user.id), origin=origin)
    session.commit()
    return user


def sign_in(
    session: Session, *, email: str, password: str, lifetime: timedelta, origin: audit.Origin
) -> tuple[User, UserSession] | None:
    """The user with this e-mail and password and a new session, or None; takes as long either way."""
    user = find(session, email)
    checked = user.password_hash if user else None
    if not verify_password(password, checked) or user is None or not _still_has(session, user, checked):
        return None
    if needs_rehash(user.password_hash):
        user.password_hash = hash_password(password)
    begun = UserSession(
        user_id=user.id, refresh_id=uuid.uuid4().hex, expires_at=now() + lifetime, address=origin.address
    )
    session.add(begun)
    audit.record(session, "user.signed_in", actor_id=user.id, target=("user", user.id), origin=origin)
    session.commit()
    return user, begun


def _still_has(session: Session, user: User, password_hash: str | None) -> bool:
    """Whether the password that was checked is the user's still; keeps it from being changed until the commit.

    A change of the password ends all sessions, and must not miss one that is just about to begin.
    """
    same = sa.select(User.id).where(User.id == user.id, User.password_hash == password_hash)
    return session.scalar(same.with_for_update(read=True)) is not None


def find(session: Session, email: str) -> User | None:
    """The user with this e-mail, given in lower case."""
    return session.scalar(sa.select(User).where(User.email == email))


def get(session: Session, user_id: int) -> User | None:
    """The user with this id."""
    return session.get(User, user_id)


def profile(connection: sa.Connection, user_id: int) -> sa.Row[*tuple[Any, ...]] | None:
    """What a user sees of the account."""
    return connection.execute(PROFILE, {"user_id": user_id}).one_or_none()


def change_profile(session: Session, user: User, changes: dict[str, Any]) -> User:
    """Set the given fields of a profile."""
    for name, value in changes.items():
        setattr(user, name, value)
    session.commit()
    return user


def tell(session: Session, user_id: int) -> dict[str, Any]:
    """What is known of a user, but for what proves who they are."""
    account = tell_rows(session, sa.select(User).where(User.id == user_id), but=("password_hash",))
    signed_in = sa.select(UserSession).where(UserSession.user_id == user_id)
    return {"users": account, "user_sessions": tell_rows(session, signed_in, but=("refresh_id",))}


def note_login(session: Session, user_id: int, time: datetime) -> None:
    """Keep the time of the latest login; an older one that arrives late changes nothing."""
    newer = sa.or_(User.last_login_at.is_(None), User.last_login_at < time)
    session.execute(sa.update(User).where(User.id == user_id, newer).values(last_login_at=time))
    session.commit()


def change_password(
    session: Session, *, user_id: int, session_id: int | None, current: str, new: str, origin: audit.Origin
) -> Sequence[int]:
    """Change a password and end the user's other sessions, whose ids are returned; raises `WrongPassword`."""
    user = session.get(User, user_id)
    if user is None or not verify_password(current, user.password_hash):
        raise WrongPassword
    if not _replace_password(session, user, new):
        raise WrongPassword
    ended = end_sessions(session, user_id, but=session_id)
    audit.record(session, "user.password_changed", actor_id=user_id, target=("user", user_id), origin=origin)
    session.commit()
    return ended


def fingerprint(user: User) -> str:
    """A mark of the user's present password, by which a token is good for replacing that one and no later one."""
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:32]


def reset_password(session: Session, *, user_id: int, mark: str, password: str, origin: audit.Origin) -> Sequence[int]:
    """Replace the password that has this fingerprint, and end all sessions; raises `ResetRefused`."""
    user = session.get(User, user_id)
    if user is None or fingerprint(user) != mark or not _replace_password(session, user, password):
        raise ResetRefused
    ended = end_sessions(session, user_id)
    audit.record(session, "user.password_reset", actor_id=user_id, target=("user", user_id), origin=origin)
    session.commit()
    return ended


def _replace_password(session: Session, user: User, password: str) -> bool:
    """Replace the password that was checked; False when somebody else did so meanwhile."""
    unchanged = sa.update(User).where(User.id == user.id, User.password_hash == user.password_hash)
    replaced = session.execute(unchanged.values(password_hash=hash_password(password), updated_at=now()))
    return replaced.rowcount == 1  # type: ignore[attr-defined, no-any-return] # of a cursor's result, which an update gives


def renew_session(
    session: Session, *, session_id: int, refresh_id: str, lifetime: timedelta, origin: audit.Origin
) -> str:
    """Exchange the id of a session's newest refresh token for a new one; raises `TokenReused` or `SessionEnded`."""
    fresh, time = uuid.uuid4().hex, now()
    alive = sa.update(UserSession).where(
        UserSession.id == session_id, UserSession.ended_at.is_(None), UserSession.expires_at > time
    )
    renewal = {"refresh_id": fresh, "refreshed_at": time, "expires_at": time + lifetime}
    if _rows(session, alive.where(UserSession.refresh_id == refresh_id).values(renewal)):
        session.commit()
        return fresh
    if not _rows(session, alive.values(ended_at=time)):
        raise SessionEnded
    audit.record(session, "session.token_reused", actor_id=None, target=("session", session_id), origin=origin)
    session.commit()
    raise TokenReused


def _rows(session: Session, update: sa.Update) -> int:
    """How many rows an update changed."""
    return session.execute(update).rowcount  # type: ignore[attr-defined, no-any-return] # of a cursor's result


def sign_out(
    session: Session, *, user_id: int, session_id: int, everywhere: bool, origin: audit.Origin
) -> Sequence[int]:
    """End a session, or all of its user's; returns the ids of those that lived."""
    ended = end_sessions(session, user_id, None if everywhere else session_id)
    audit.record(
        session, "user.signed_out", actor_id=user_id, target=("user", user_id), origin=origin, sessions=len(ended)
    )
    session.commit()
    return ended


def end_sessions(session: Session, user_id: int, only: int | None = None, *, but: int | None = None) -> Sequence[int]:
    """End a user's living sessions (`only` one, or all `but` one) and return their ids.

    Whoever calls this commits, and then has `app.security.sessions.end` tell the replicas.
    """
    query = sa.select(UserSession.id).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    if only is not None:
        query = query.where(UserSession.id == only)
    if but is not None:
        query = query.where(UserSession.id != but)
    ids = session.scalars(query).all()
    session.execute(sa.update(UserSession).where(UserSession.id.in_(ids)).values(ended_at=now()))
    return ids


def session_lives(session: Session, session_id: int) -> bool:
    """Whether a session has neither been ended nor run out."""
    query = sa.select(UserSession.id).where(
        UserSession.id == session_id, UserSession.ended_at.is_(None), UserSession.expires_at > now()
    )
    return session.scalar(query) is not None


def sessions_ended_since(session: Session, time: datetime) -> Sequence[int]:
    """The ids of sessions that were ended after a time."""
    return session.scalars(sa.select(UserSession.id).where(UserSession.ended_at > time)).all()


def drop_old_sessions(session: Session) -> int:
    """Forget sessions that were over `KEEP_SESSIONS` ago; returns how many."""
    long_ago = now() - KEEP_SESSIONS
    over = sa.or_(UserSession.expires_at < long_ago, UserSession.ended_at < long_ago)
    dropped = session.execute(sa.delete(UserSession).where(over))
    session.commit()
    return dropped.rowcount  # type: ignore[attr-defined, no-any-return] # of a cursor's result
