"""Factories of users and sessions."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from itertools import count

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User, UserSession
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


def bearer(app: Flask, user: User) -> dict[str, str]:
    """Return the authorization header of a new session of the user."""
    with app.app_context(), Session(db.engine) as session:
        user_session = make_session(session, user)
        caller = Caller(user.id, user.role, user_session.id, authenticated_at=int(time.time()))
        token, _ = tokens.issue_access_token(caller)
    return {"Authorization": f"Bearer {token}"}
