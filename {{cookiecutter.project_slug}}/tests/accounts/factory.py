"""Users to test with."""

from __future__ import annotations

import uuid
from datetime import timedelta
from itertools import count

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User, UserSession
from app.database import db, now
from app.security import tokens
from app.security.passwords import hash_password

PASSWORD = "correct horse battery"

_numbers = count(1)
_hash = hash_password(PASSWORD)  # once, since hashing is made to be slow


def make_user(session: Session, **fields: object) -> User:
    """A user with `PASSWORD` and an e-mail of their own."""
    number = next(_numbers)
    user = User(**{"email": f"user{number}@example.org", "password_hash": _hash, "role": "user", **fields})
    session.add(user)
    session.commit()
    return user


def make_session(session: Session, user: User) -> UserSession:
    """A sign-in that lives for another day."""
    signed_in = UserSession(user_id=user.id, refresh_id=uuid.uuid4().hex, expires_at=now() + timedelta(days=1))
    session.add(signed_in)
    session.commit()
    return signed_in


def bearer(app: Flask, user: User) -> dict[str, str]:
    """The header of somebody signed in."""
    with app.app_context(), Session(db.engine) as session:
        signed_in = make_session(session, user)
        token, _ = tokens.issue(tokens.Caller(user.id, user.role, signed_in.id))
    return {"Authorization": f"Bearer {token}"}
