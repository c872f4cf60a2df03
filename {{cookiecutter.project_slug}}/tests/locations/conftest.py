"""Positions with an idempotency key, another replica of the app, and the running service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.platform.database.base import db
from tests.idempotency.repetitions import KEY, Send, post_with_key
from tests.running.conftest import own_redis, redis, start_web, web

__all__ = ["own_redis", "post_with_key", "redis", "start_web", "web"]

LOCATIONS = "/api/v1/locations"
POSITION = {"latitude": 52.5163, "longitude": 13.3777}


@pytest.fixture
def send(post_with_key: Send) -> Send:
    """Return a function that saves a position with an idempotency key."""

    def save(key: str = KEY, *, path: str = LOCATIONS, **options: Any) -> TestResponse:
        return post_with_key(path, key, **{"json": POSITION, **options})

    return save


@pytest.fixture
def replica(app: Flask, environment: Mapping[str, str]) -> Iterator[FlaskClient]:
    """A client of another app on the same database and Redis."""
    other = create_app(environment)
    app.extensions["celery"].set_current()
    yield other.test_client()
    with other.app_context():
        db.engine.dispose()
