"""API keys to test with."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from sqlalchemy.orm import Session

from app.accounts.models import User
from app.api_keys.models import ApiKey


def make_key(session: Session, user: User, *scopes: str, **fields: Any) -> tuple[ApiKey, str]:
    """A key of a user's for these scopes, and its text."""
    prefix = f"fsk_{secrets.token_hex(4)}"
    text = f"{prefix}_{secrets.token_urlsafe(32)}"
    given = {"name": "of a test", "scopes": list(scopes), "prefix": prefix, **fields}
    key = ApiKey(user_id=user.id, key_hash=hashlib.sha256(text.encode()).hexdigest(), **given)
    session.add(key)
    session.commit()
    return key, text


def with_key(session: Session, user: User, *scopes: str) -> dict[str, str]:
    """The header of a program with a key for these scopes."""
    return {"X-API-Key": make_key(session, user, *scopes)[1]}
