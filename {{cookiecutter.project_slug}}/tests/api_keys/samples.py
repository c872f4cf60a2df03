"""Samples of API keys, for the tests over all features (see tests/samples.py)."""

from __future__ import annotations

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.api_keys.models import ApiKey
from app.platform.components import platform_of
from app.platform.database.base import utc_now
from tests.api_keys.factory import make_key
from tests.unique_values import unique_text, unique_time


def create_key(_app: Flask, session: Session, user: User) -> int:
    """Create a key of the user without scopes."""
    return make_key(session, user)[0].id


def create_header(app: Flask, session: Session, user: User) -> dict[str, str]:
    """Return the header with a key for every scope; its use writes no row, because it was just used."""
    return {"X-API-Key": make_key(session, user, *platform_of(app).scopes, last_used_at=utc_now())[1]}


OBJECTS = {"key_id": create_key}
CREDENTIALS = {"API key": create_header}


SECRET_COLUMNS = frozenset({"api_keys.key_hash"})  # not exported


def create_personal_data(app: Flask, session: Session, user: User) -> None:
    """Create a key with every column filled."""
    del app
    session.add(
        ApiKey(
            user_id=user.id,
            name=unique_text(),
            prefix=unique_text(),
            key_hash=unique_text(),
            scopes=[unique_text()],
            created_at=unique_time(),
            expires_at=unique_time(),
            last_used_at=unique_time(),
            revoked_at=unique_time(),
        )
    )


PERSONAL_DATA = create_personal_data


# The table that each action of the audit log changes; empty: the entry records an event.
AUDIT_ACTIONS = {
    "api_key.created": "api_keys",
    "api_key.revoked": "api_keys",
    "api_keys.revoked": "api_keys",
}
