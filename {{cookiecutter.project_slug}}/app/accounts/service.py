"""Rules and queries of accounts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts import totp
from app.accounts.email_addresses import normalize_email
from app.accounts.erasure import begin_erasure, delete, is_being_erased
from app.accounts.models import User, UserSession
from app.accounts.password_rules import UnsuitablePassword, check_personal
from app.accounts.problem_types import LAST_ADMIN
from app.accounts.user_sessions import Lifetime, create_session, end_sessions, is_session_active, sessions_ended_since
from app.accounts.visibility import is_restricted, is_suspended
from app.audit import service as audit
from app.platform.database.base import lock_sqlite, rows_changed, utc_now
from app.platform.database.encrypted_attribute import text_or_none
from app.platform.database.encryption import place_of
from app.platform.personal_data import rows_as_dicts
from app.platform.security import credentials
from app.platform.security.passwords import hash_password, needs_rehash, verify_password
from app.platform.web.client_address import RequestOrigin

__all__ = [  # what other features need of the modules that this one imports
    "LAST_ADMIN",
    "UnsuitablePassword",
    "begin_erasure",
    "delete",
    "end_sessions",
    "is_being_erased",
    "is_restricted",
    "is_session_active",
    "is_suspended",
    "sessions_ended_since",
]

_users = User.__table__.c
PROFILE_QUERY = sa.select(
    _users.id, _users.email, _users.role, _users.display_name, _users.processing_restricted, _users.created_at
).where(_users.id == sa.bindparam("user_id"))


class EmailTaken(Exception):
    """An account with this e-mail exists already."""


class WrongPassword(Exception):
    """The current password is wrong."""


class PasswordResetRejected(Exception):
    """The password has changed since the token was issued, or the account is suspended or no longer exists."""


class Suspended(Exception):
    """The user is suspended."""


class NoSuchUser(Exception):
    """No user has this id."""


class LastAdmin(Exception):
    """The operation would leave no admin."""


def register(
    session: Session,
    *,
    email: str,
    password: str,
    origin: RequestOrigin,
    display_name: str | None = None,
    role: str = "user",
    verified: bool = True,
) -> User:
    """Create an account. Raises `EmailTaken`, or `InvalidEmail`."""
    user = User(email=email, password_hash=hash_password(password), display_name=display_name, role=role)
    user.unverified_since = None if verified else utc_now()
    session.add(user)
    try:
        session.flush()
    except IntegrityError:  # the unique constraint also decides between concurrent requests
        session.rollback()
        raise EmailTaken from None
    audit.record(session, "user.registered", actor_id=user.id, target=("user", user.id), origin=origin)
    session.commit()
    return user


def login(
    session: Session, *, email: str, password: str, lifetime: Lifetime, origin: RequestOrigin
) -> tuple[User, UserSession | None] | None:
    """Return the user with this e-mail and password and a new session, or None; raises `Suspended`.

    There is no session yet if the account has a second factor.

    An unknown e-mail takes as long as a wrong password, so that the time does not show which accounts exist.
    """
    user = find_by_email(session, email)
    verified_hash = user.password_hash if user else None
    if not verify_password(password, verified_hash) or user is None or not _lock_verified(session, user, password):
        return None
    if user.suspended_at:
        audit.record(session, "user.sign_in_refused", actor_id=None, target=("user", user.id), origin=origin)
        session.commit()
        raise Suspended
    if needs_rehash(user.password_hash):
        user.password_hash = hash_password(password)
    if totp.is_enabled(session, user.id):
        session.commit()
        return user, None
    return user, start_session(session, user, lifetime, origin)


def start_session(session: Session, user: User, lifetime: Lifetime, origin: RequestOrigin) -> UserSession:
    """Return a new session of a locked user whose credentials were verified; commits."""
    user_session = create_session(session, user.id, lifetime, origin)
    audit.record(session, "user.signed_in", actor_id=user.id, target=("user", user.id), origin=origin)
    session.commit()
    return user_session


def _lock_verified(session: Session, user: User, password: str) -> bool:
    """Lock and reload a user whose password was verified; return False if the password is not right any more.

    A change of the password or the role ends all sessions; without the lock it could miss the session that this login
    creates. A hash that will be replaced needs the stronger lock at once: two shared locks would wait for each other.
    """
    verified = user.password_hash
    query = sa.select(User).where(User.id == user.id).execution_options(populate_existing=True)
    locked = session.scalar(query.with_for_update(read=not needs_rehash(verified)))
    return locked is not None and (locked.password_hash == verified or verify_password(password, locked.password_hash))


def lock_user(session: Session, user_id: int) -> tuple[User, bool]:
    """Lock a user and return it, and whether it is the last admin; raises `NoSuchUser`, also if it is being erased.

    All admins are locked until the commit: when two admins are demoted, suspended or erased at the same time, one
    remains. A suspended admin does not count.
    """
    is_admin = sa.and_(User.role == "admin", User.suspended_at.is_(None))
    affected = sa.select(User).where(sa.or_(User.id == user_id, is_admin)).order_by(User.id)
    locked = session.scalars(affected.with_for_update().execution_options(populate_existing=True)).all()
    user = next((user for user in locked if user.id == user_id), None)
    if user is None or is_being_erased(user):
        session.rollback()
        raise NoSuchUser
    return user, user.role == "admin" and len(locked) == 1


def registration_times(session: Session, user_ids: Iterable[int]) -> dict[int, datetime]:
    """Return the registration time of each of these users, by id; unknown ids are left out."""
    wanted = User.id.in_(user_ids)  # callers pass batches; nosemgrep: unbounded-in-list
    return dict(session.execute(sa.select(User.id, User.created_at).where(wanted)).all())


def find_by_email(session: Session, email: str) -> User | None:
    """Return the user with this e-mail, however it is written, or None; raises `InvalidEmail`."""
    return session.scalar(sa.select(User).where(User.email == normalize_email(email)))


def get(session: Session, user_id: int) -> User | None:
    """Return the user with this id, or None, also if it is being erased."""
    user = session.get(User, user_id)
    return None if user is None or is_being_erased(user) else user


def lock_and_get(session: Session, user_id: int) -> User | None:
    """Lock a user until the commit, and return it as it is now; None if it does not exist or is being erased."""
    lock_sqlite(session)
    return get(session, user_id) if lock(session, user_id) else None


def profile(connection: sa.Connection, user_id: int) -> dict[str, Any] | None:
    """Return the columns of the public profile, or None if the user does not exist."""
    row = connection.execute(PROFILE_QUERY, {"user_id": user_id}).mappings().one_or_none()
    if row is None:
        return None
    return {**row, "display_name": text_or_none(row["display_name"], place_of("users", "display_name", user_id))}


def change_profile(session: Session, user: User, changes: dict[str, Any], origin: RequestOrigin) -> User:
    """Set these fields of a profile, commit and return the user."""
    for name, value in changes.items():
        setattr(user, name, value)
    target, names = ("user", user.id), sorted(changes)
    audit.record(session, "user.profile_changed", actor_id=user.id, target=target, origin=origin, fields=names)
    session.commit()
    return user


def export(session: Session, user_id: int) -> dict[str, Any]:
    """Return the personal data of an account, without credentials."""
    account = rows_as_dicts(session, sa.select(User).where(User.id == user_id), exclude=("password_hash",))
    sessions = sa.select(UserSession).where(UserSession.user_id == user_id)
    return {"users": account, "user_sessions": rows_as_dicts(session, sessions, exclude=("refresh_id",))}


def record_login(session: Session, user_id: int, time: datetime) -> None:
    """Store the time of the latest login; an earlier time that arrives late changes nothing."""
    newer = sa.or_(User.last_login_at.is_(None), User.last_login_at < time)
    session.execute(sa.update(User).where(User.id == user_id, newer).values(last_login_at=time))
    session.commit()


def change_password(
    session: Session, *, user_id: int, session_id: int | None, current: str, new: str, origin: RequestOrigin
) -> Sequence[int]:
    """Change a password, end the user's other sessions and return their ids.

    Raises `WrongPassword`, or `UnsuitablePassword` if the current password is right. Like every new password, it also
    revokes what features issued in the user's name, such as API keys.
    """
    user = session.get(User, user_id)
    if user is None or not verify_password(current, user.password_hash):
        raise WrongPassword
    check_personal(new, user.email)
    if not _replace_password(session, user, new):
        raise WrongPassword
    ended = end_sessions(session, user_id, exclude=session_id)
    credentials.revoke_all(session, user_id, actor_id=user_id, origin=origin)
    audit.record(session, "user.password_changed", actor_id=user_id, target=("user", user_id), origin=origin)
    session.commit()
    return ended


def password_fingerprint(user: User) -> str:
    """Return the password fingerprint, which binds a reset token to one password and one e-mail."""
    return hashlib.sha256(f"{user.password_hash} {user.email}".encode()).hexdigest()[:32]


def reset_password(
    session: Session, *, user_id: int, fingerprint: str, password: str, origin: RequestOrigin
) -> Sequence[int]:
    """Replace the password with this fingerprint, end all sessions and return their ids.

    Raises `PasswordResetRejected`, or `UnsuitablePassword`.
    """
    user = session.get(User, user_id)
    if user is None or password_fingerprint(user) != fingerprint:
        raise PasswordResetRejected
    check_personal(password, user.email)
    if not _replace_password(session, user, password):
        raise PasswordResetRejected
    user.unverified_since = None  # the link was in an e-mail to the user
    ended = end_sessions(session, user_id)
    credentials.revoke_all(session, user_id, actor_id=user_id, origin=origin)
    audit.record(session, "user.password_reset", actor_id=user_id, target=("user", user_id), origin=origin)
    session.commit()
    return ended


def _replace_password(session: Session, user: User, password: str) -> bool:
    """Replace the password that was verified; return False if it changed, or the user was suspended, meanwhile."""
    verified = (User.password_hash == user.password_hash, User.suspended_at.is_(None))
    unchanged = sa.update(User).where(User.id == user.id, *verified)
    new_values = {"password_hash": hash_password(password), "updated_at": utc_now()}
    return rows_changed(session, unchanged.values(new_values)) == 1


def logout(
    session: Session, *, user_id: int, session_id: int, everywhere: bool, origin: RequestOrigin
) -> Sequence[int]:
    """End one session or all sessions of its user; return the ids of those that were active.

    The end of all sessions also revokes what features issued in the user's name, such as API keys.
    """
    if everywhere:  # first, like every change that locks a user and the user's sessions: no deadlocks
        credentials.revoke_all(session, user_id, actor_id=user_id, origin=origin)
    ended = end_sessions(session, user_id, None if everywhere else session_id)
    audit.record(
        session, "user.signed_out", actor_id=user_id, target=("user", user_id), origin=origin, sessions=len(ended)
    )
    session.commit()
    return ended


def lock(session: Session, user_id: int) -> bool:
    """Lock a user until the commit; rows that refer to the user, such as those counted next, can be inserted.

    Returns False if the user does not exist or is being erased.
    """
    query = sa.select(User).where(User.id == user_id).execution_options(populate_existing=True)
    user = session.scalar(query.with_for_update(key_share=True))
    return user is not None and not is_being_erased(user)
