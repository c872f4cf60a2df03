"""Users to test with."""

from __future__ import annotations

from itertools import count

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.security import tokens
from app.security.passwords import hash_password

PASSWORD = "correct horse battery"

_numbers = count(1)
_hash = hash_password(PASSWORD)  # once, since hashing is made to be slow


def make_user(session: Session, **fields: str) -> User:
    """A user with `PASSWORD` and an e-mail of their own."""
    number = next(_numbers)
    user = User(**{"email": f"user{number}@example.org", "password_hash": _hash, "role": "user", **fields})
    session.add(user)
    session.commit()
    return user


def bearer(app: Flask, user: User) -> dict[str, str]:
    """The header of somebody signed in."""
    with app.app_context():
        token, _ = tokens.issue(tokens.Caller(user.id, user.role))
    return {"Authorization": f"Bearer {token}"}
