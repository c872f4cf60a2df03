"""The second factor of an account: setting it up, signing in with it, and removing it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service, totp
from app.accounts.models import User, UserSession, UserTotp
from app.accounts.user_sessions import Lifetime
from app.audit import service as audit
from app.platform.database.base import utc_now
from app.platform.web.client_address import RequestOrigin


class AlreadyEnabled(Exception):
    """The account has a second factor already."""


class NotEnabled(Exception):
    """The account has no second factor, or none that waits for its confirmation."""


class WrongCode(Exception):
    """The code is wrong or has been used already."""


class SignInOutdated(Exception):
    """The password has changed, or the second factor was removed, since the first step of the sign-in."""


def enroll(session: Session, user: User) -> str:
    """Store a new secret, which has no effect until `confirm`, and return it.

    Raises `AlreadyEnabled` or `NoSuchUser`.
    """
    if not service.lock(session, user.id):
        session.rollback()
        raise service.NoSuchUser
    if totp.is_enabled(session, user.id):
        session.rollback()
        raise AlreadyEnabled
    totp.delete(session, user.id)
    secret = totp.new_secret()
    session.add(UserTotp(user_id=user.id, secret=secret))
    session.commit()
    return secret


def confirm(
    session: Session, user_id: int, code: str, *, session_id: int | None, origin: RequestOrigin
) -> tuple[list[str], Sequence[int]]:
    """Turn the second factor on; return the recovery codes, and the ids of the user's other sessions, which end.

    Raises `NotEnabled`, `AlreadyEnabled` or `WrongCode`.
    """
    service.lock(session, user_id)
    try:
        _confirm_secret(session, user_id, code)
    except Exception:
        session.rollback()
        raise
    codes = totp.create_recovery_codes(session, user_id)
    ended = service.end_sessions(session, user_id, exclude=session_id)
    _record(session, "user.totp_enabled", user_id, user_id, origin)
    session.commit()
    return codes, ended


def _confirm_secret(session: Session, user_id: int, code: str) -> None:
    stored = session.scalar(sa.select(UserTotp).where(UserTotp.user_id == user_id))
    if stored is None:
        raise NotEnabled
    if stored.confirmed_at is not None:
        raise AlreadyEnabled
    step = totp.matching_step(stored.secret, code)
    if step is None:
        raise WrongCode
    stored.confirmed_at, stored.last_step = utc_now(), step


def sign_in(
    session: Session,
    *,
    user_id: int,
    fingerprint: str,
    code: str | None,
    recovery_code: str | None,
    lifetime: Lifetime,
    origin: RequestOrigin,
) -> tuple[User, UserSession]:
    """Return the user and a new session, for the right code. Raises `SignInOutdated` or `WrongCode`."""
    exists = service.lock(session, user_id)  # like a sign-in without a second factor (`service.login`)
    user = session.get(User, user_id) if exists else None
    is_outdated = user is None or user.suspended_at or service.password_fingerprint(user) != fingerprint
    if user is None or is_outdated or not totp.is_enabled(session, user_id):
        session.rollback()
        raise SignInOutdated
    _accept(session, user_id, code, recovery_code, origin)
    return user, service.start_session(session, user, lifetime, origin)


def disable(
    session: Session, user_id: int, code: str | None, recovery_code: str | None, *, origin: RequestOrigin
) -> Sequence[int]:
    """Remove the second factor, end all sessions and return their ids. Raises `NotEnabled` or `WrongCode`."""
    if not service.lock(session, user_id) or not totp.is_enabled(session, user_id):
        session.rollback()
        raise NotEnabled
    _accept(session, user_id, code, recovery_code, origin)
    return _remove(session, "user.totp_disabled", user_id, user_id, origin)


def replace_recovery_codes(
    session: Session, user_id: int, code: str | None, recovery_code: str | None, *, origin: RequestOrigin
) -> list[str]:
    """Replace the recovery codes and return the new ones. Raises `NotEnabled` or `WrongCode`."""
    if not service.lock(session, user_id) or not totp.is_enabled(session, user_id):
        session.rollback()
        raise NotEnabled
    _accept(session, user_id, code, recovery_code, origin)
    codes = totp.create_recovery_codes(session, user_id)
    _record(session, "user.recovery_codes_replaced", user_id, user_id, origin)
    session.commit()
    return codes


def reset(session: Session, user_id: int, *, actor_id: int, origin: RequestOrigin) -> Sequence[int] | None:
    """Remove the second factor of a user who cannot use it, end all sessions and return their ids.

    Changes nothing and returns None if there is none. Raises `NoSuchUser`.
    """
    if not service.lock(session, user_id):
        session.rollback()
        raise service.NoSuchUser
    if not totp.is_enabled(session, user_id):
        session.rollback()
        return None
    return _remove(session, "user.totp_reset", user_id, actor_id, origin)


def _accept(session: Session, user_id: int, code: str | None, recovery_code: str | None, origin: RequestOrigin) -> None:
    """Use up a code or, if there is none, a recovery code; raises `WrongCode`."""
    if code is not None:
        accepted = totp.accept_code(session, user_id, code)
    else:
        accepted = recovery_code is not None and totp.accept_recovery_code(session, user_id, recovery_code)
    if not accepted:
        session.rollback()
        raise WrongCode
    if code is None:
        left = totp.count_recovery_codes(session, user_id)
        _record(session, "user.recovery_code_used", user_id, user_id, origin, left=left)


def _remove(session: Session, action: str, user_id: int, actor_id: int, origin: RequestOrigin) -> Sequence[int]:
    totp.delete(session, user_id)
    ended = service.end_sessions(session, user_id)
    _record(session, action, user_id, actor_id, origin)
    session.commit()
    return ended


def _record(session: Session, action: str, user_id: int, actor_id: int, origin: RequestOrigin, **details: int) -> None:
    audit.record(session, action, actor_id=actor_id, target=("user", user_id), origin=origin, **details)
