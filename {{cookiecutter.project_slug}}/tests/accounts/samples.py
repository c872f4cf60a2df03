"""Samples of accounts, for the tests over all features (see tests/samples.py)."""

from __future__ import annotations

import uuid

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import service, verification
from app.accounts.models import EmailChange, RecoveryCode, User, UserSession, UserTotp
from app.platform.database.base import utc_now
from app.platform.security import tokens
from tests.accounts.factory import PASSWORD, current_code, make_email_change, make_session, make_totp, make_user
from tests.unique_values import unique_number, unique_text, unique_time


def create_user(_app: Flask, session: Session, _user: User) -> int:
    """Create another user; the e-mail is random, as several processes may create users in one database."""
    return make_user(session, email=f"{uuid.uuid4().hex}@example.org").id


def create_session(_app: Flask, session: Session, user: User) -> int:
    """Create a session of the user."""
    return make_session(session, user).id


def create_login_body(_app: Flask, _session: Session, user: User) -> dict[str, str]:
    """Return the credentials of the user."""
    return {"email": user.email, "password": PASSWORD}


def create_refresh_body(_app: Flask, session: Session, user: User) -> dict[str, str]:
    """Return the refresh token of a new session; needs an app context."""
    created = make_session(session, user)
    return {"refresh_token": tokens.sign(tokens.REFRESH, user.id, 60, sid=created.id, jti=created.refresh_id)}


def create_reset_body(_app: Flask, _session: Session, user: User) -> dict[str, str]:
    """Return a token that resets the password of the user; needs an app context."""
    return {"token": tokens.sign(tokens.RESET, user.id, 60, fingerprint=service.password_fingerprint(user))}


def create_verification_body(_app: Flask, session: Session, user: User) -> dict[str, str]:
    """Return a token that confirms the e-mail of the user; needs an app context."""
    user.unverified_since = utc_now()
    session.commit()
    return {"token": tokens.sign(tokens.VERIFICATION, user.id, 60, fingerprint=verification.fingerprint(user))}


def create_email_change_body(_app: Flask, session: Session, user: User) -> dict[str, str]:
    """Return a token that confirms a change of the user's e-mail at the old address; needs an app context."""
    link_id = make_email_change(session, user).link_id
    return {"token": tokens.sign(tokens.EMAIL_CHANGE, user.id, 60, link=link_id, side="old")}


def create_second_factor_body(_app: Flask, session: Session, user: User) -> dict[str, str]:
    """Return what completes a sign-in of the user with a second factor; needs an app context."""
    token = tokens.sign(tokens.MFA, user.id, 60, fingerprint=service.password_fingerprint(user))
    return {"mfa_token": token, "code": current_code(make_totp(session, user))}


def create_change_body(_app: Flask, _session: Session, _user: User) -> dict[str, str]:
    """Return the current password, and another one."""
    return {"current_password": PASSWORD, "new_password": "another horse, another staple"}


def create_password_body(_app: Flask, _session: Session, _user: User) -> dict[str, str]:
    """Return the current password."""
    return {"current_password": PASSWORD}


def create_proof_body(_app: Flask, _session: Session, _user: User) -> dict[str, str]:
    """Return the current password, as its proof names it."""
    return {"password": PASSWORD}


OBJECTS = {"user_id": create_user, "session_id": create_session}
PUBLIC_ROUTES = (
    "auth/register",
    "auth/login",
    "auth/login/totp",
    "auth/refresh",
    "auth/forgot-password",
    "auth/reset-password",
    "auth/verify-email",
    "auth/resend-verification",
    "auth/confirm-email",
)
FUZZ_BODIES = {
    "auth_change_password": create_change_body,
    "auth_login": create_login_body,
    "auth_refresh": create_refresh_body,
    "auth_reset_password": create_reset_body,
    "email_change": create_password_body,
    "email_verify": create_verification_body,
    "email_confirm": create_email_change_body,
    "sessions_reauthenticate": create_proof_body,
    "totp_enroll": create_password_body,
    "totp_login": create_second_factor_body,
}
FUZZ_ENDS_SESSION = ("auth_logout", "auth_change_password", "email_change", "totp_confirm", "totp_disable")


SECRET_COLUMNS = frozenset(  # not exported
    {
        "users.password_hash",
        "user_sessions.refresh_id",
        "email_changes.link_id",
        "user_totp.secret",
        "recovery_codes.code_hash",
    }
)


def create_personal_data(app: Flask, session: Session, user: User) -> None:
    """Fill the optional columns of the user, and create a session, a change of the e-mail and a second factor."""
    del app
    user.display_name, user.last_login_at, user.unverified_since = unique_text(), unique_time(), unique_time()
    user.suspended_at = unique_time()
    session.add(
        UserSession(
            user_id=user.id,
            refresh_id=unique_text(),
            address=unique_text(),
            user_agent=unique_text(),
            authenticated_at=unique_time(),
            created_at=unique_time(),
            refreshed_at=unique_time(),
            expires_at=unique_time(),
            ended_at=unique_time(),
        )
    )
    session.add(
        EmailChange(
            user_id=user.id,
            email=f"{unique_text()}@example.org",
            link_id=unique_text(),
            session_id=unique_number(),
            old_confirmed_at=unique_time(),
            new_confirmed_at=unique_time(),
            created_at=unique_time(),
        )
    )
    session.add(
        UserTotp(
            user_id=user.id,
            secret=unique_text(),
            last_step=unique_number(),
            confirmed_at=unique_time(),
            created_at=unique_time(),
        )
    )
    session.add(RecoveryCode(user_id=user.id, code_hash=unique_text(), created_at=unique_time()))


PERSONAL_DATA = create_personal_data


# The table that each action of the audit log changes; empty: the entry records an event.
AUDIT_ACTIONS = {
    "user.registered": "users",
    "user.registered_again": "users",
    "user.signed_in": "user_sessions",
    "user.signed_out": "user_sessions",
    "user.profile_changed": "users",
    "user.password_changed": "users",
    "user.password_reset": "users",
    "user.password_reset_forced": "users",
    "user.role_changed": "users",
    "session.token_reused": "user_sessions",
    "user.sign_in_failed": "",
    "user.password_change_failed": "",
    "user.reauthenticated": "user_sessions",
    "user.email_verified": "users",
    "user.email_change_requested": "email_changes",
    "user.email_changed": "users",
    "user.totp_enabled": "user_totp",
    "user.totp_disabled": "user_totp",
    "user.recovery_code_used": "recovery_codes",
    "user.recovery_codes_replaced": "recovery_codes",
    "user.suspended": "users",
    "user.unsuspended": "users",
    "user.sign_in_refused": "",
    "session.ended": "user_sessions",
}
