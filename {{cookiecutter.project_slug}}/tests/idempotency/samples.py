"""Samples of idempotency keys for the tests over all features."""

from __future__ import annotations

from datetime import datetime

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.idempotency.models import IdempotencyKey
from tests.unique_values import unique_text, unique_time

# Not exported.
SECRET_COLUMNS = frozenset(f"idempotency_keys.{name}" for name in ("key_hash", "fingerprint", "answer"))


def create_personal_data(app: Flask, session: Session, user: User) -> None:
    """Create a key with every column filled."""
    del app
    add_key(session, user, unique_time())


def add_key(session: Session, user: User, created_at: datetime) -> None:
    """Add a key that was created at this time; the caller commits."""
    session.add(
        IdempotencyKey(
            user_id=user.id,
            key_hash=unique_text(),
            fingerprint=unique_text(),
            answer=unique_text(),
            created_at=created_at,
        )
    )


PERSONAL_DATA = create_personal_data
