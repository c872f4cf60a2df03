"""A separate storage for each test, a file, API keys, and real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile
from app.platform.components import platform_of
from app.platform.database.base import db
from app.platform.security.access import ApiKeys
from app.platform.web.caller import KEY_PREFIX, Caller
from tests.data_files.factory import make_file
from tests.running.conftest import redis, start_web, start_worker

ScopedKey = Callable[[User, str], dict[str, str]]

__all__ = [
    "ScopedKey",
    "file",
    "redis",
    "scoped_key",
    "start_web",
    "start_worker",
]


@pytest.fixture
def file(app: Flask, session: Session, user: User) -> DataFile:
    return make_file(app, session, user)


@pytest.fixture
def scoped_key(app: Flask) -> Iterator[ScopedKey]:
    """Returns the headers of an API key of a user with one scope; works without the feature that stores keys."""
    platform = platform_of(app)
    original = platform.find(ApiKeys)
    callers: dict[str, Caller] = {}

    def look_up(key: str) -> Caller:
        db.session.get(User, callers[key].user_id)  # like a real lookup, it uses the session
        return callers[key]

    def create(user: User, scope: str) -> dict[str, str]:
        key = f"{KEY_PREFIX}{len(callers)}"
        callers[key] = Caller(user.id, "user", None, frozenset({scope}))
        return {"X-API-Key": key}

    platform.add(ApiKeys(look_up))
    yield create
    if original:
        platform.add(original)
