"""An app after the replacement of its key, and users whose names are under the earlier key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.platform.database.base import db
from tests.accounts.factory import make_user
from tests.encryption_keys.stored_names import NEW, OLD, OLD_RING, encrypted, store


@pytest.fixture
def rotated_app(app: Flask, environment: Mapping[str, str]) -> Iterator[Flask]:
    """The app with `NEW` as its current key and `OLD` as a legacy key."""
    rotated_app = create_app({**environment, "MASTER_ENCRYPTION_KEY": NEW, "LEGACY_ENCRYPTION_KEYS": OLD})
    yield rotated_app
    with rotated_app.app_context():
        db.engine.dispose()


@pytest.fixture
def rotated_session(rotated_app: Flask) -> Iterator[Session]:
    """A session that encrypts with the keys of `rotated_app`."""
    with rotated_app.app_context():
        engine = db.engine
    with Session(engine) as session:
        yield session


@pytest.fixture
def user_ids(session: Session) -> list[int]:
    """The ids of five users with names under the earlier key."""
    ids = [make_user(session).id for _ in range(5)]
    for number, user_id in enumerate(ids):
        store(session, user_id, encrypted(OLD_RING, f"name {number}", user_id))
    return ids
