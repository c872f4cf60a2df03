"""Factory of API keys."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy.orm import Session

from app.accounts.models import User
from app.api_keys import service
from app.api_keys.models import ApiKey


def make_key(session: Session, user: User, *scopes: str, **fields: Any) -> tuple[ApiKey, str]:
    """Create a key of a user with these scopes; return it with its text."""
    prefix, text = service.new_key_text()
    values = {"name": "of a test", "scopes": list(scopes), "prefix": prefix, **fields}
    key = ApiKey(user_id=user.id, key_hash=hashlib.sha256(text.encode()).hexdigest(), **values)
    session.add(key)
    session.commit()
    return key, text


def with_key(session: Session, user: User, *scopes: str) -> dict[str, str]:
    """Create a key with these scopes and return the header that sends it."""
    return {"X-API-Key": make_key(session, user, *scopes)[1]}
