"""Factories of users and sessions."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import timedelta
from itertools import count

import pyotp
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import totp
from app.accounts.models import EmailChange, User, UserSession, UserTotp
from app.platform.database.base import db, utc_now
from app.platform.security import tokens
from app.platform.security.passwords import hash_password
from app.platform.web.caller import Caller

PASSWORD = "correct horse battery"

_numbers = count(1)
_hash = hash_password(PASSWORD)  # computed once: hashing is slow by design


def make_user(session: Session, **fields: object) -> User:
    """Create a user with `PASSWORD` and a unique e-mail."""
    number = next(_numbers)
    user = User(**{"email": f"user{number}@example.org", "password_hash": _hash, "role": "user", **fields})
    session.add(user)
    session.commit()
    return user


def make_session(session: Session, user: User) -> UserSession:
    """Create a session that expires in one day."""
    user_session = UserSession(user_id=user.id, refresh_id=uuid.uuid4().hex, expires_at=utc_now() + timedelta(days=1))
    session.add(user_session)
    session.commit()
    return user_session


def make_email_change(session: Session, user: User) -> EmailChange:
    """Create an unconfirmed change of the user's e-mail."""
    change = EmailChange(user_id=user.id, email=f"new{next(_numbers)}@example.org", link_id=secrets.token_hex(16))
    session.add(change)
    session.commit()
    return change


def make_totp(session: Session, user: User, *, confirmed: bool = True) -> str:
    """Give the user a second factor and return its secret."""
    secret = totp.new_secret()
    session.add(UserTotp(user_id=user.id, secret=secret, confirmed_at=utc_now() if confirmed else None))
    session.commit()
    return secret


def current_code(secret: str, steps: int = 0) -> str:
    """Return the code of the current time step, or of a number of steps later."""
    return pyotp.TOTP(secret).at(time.time(), counter_offset=steps)


def bearer(app: Flask, user: User, *, verified: bool = True, mfa: bool = False) -> dict[str, str]:
    """Return the authorization header of a new session of the user."""
    with app.app_context(), Session(db.engine) as session:
        user_session = make_session(session, user)
        caller = Caller(
            user.id, user.role, user_session.id, verified=verified, mfa=mfa, authenticated_at=int(time.time())
        )
        token, _ = tokens.issue_access_token(caller)
    return {"Authorization": f"Bearer {token}"}
