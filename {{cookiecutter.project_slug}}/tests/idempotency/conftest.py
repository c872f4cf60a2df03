"""A second replica of the app, and requests with an idempotency key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.platform.database.base import db
from tests.running.conftest import redis, start_web

__all__ = ["redis", "start_web"]

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
POSITION = {"latitude": 52.5163, "longitude": 13.3777}

Send = Callable[..., TestResponse]


@pytest.fixture
def replica(app: Flask, environment: Mapping[str, str]) -> Iterator[FlaskClient]:
    """A client of another app on the same database and Redis."""
    other = create_app(environment)
    app.extensions["celery"].set_current()
    yield other.test_client()
    with other.app_context():
        db.engine.dispose()


@pytest.fixture
def send(client: FlaskClient, headers: dict[str, str]) -> Send:
    """Return a function that saves a position with an idempotency key."""

    def save(
        key: str = KEY, *, path: str = "/api/v1/locations", client: FlaskClient = client, **options: Any
    ) -> TestResponse:
        sent = {**headers, "Idempotency-Key": key, **options.pop("headers", {})}
        return client.post(path, headers=sent, **{"json": POSITION, **options})

    return save


def count(session: Session, model: Any) -> int:
    session.rollback()
    return session.scalars(sa.select(sa.func.count()).select_from(model)).one()


def assert_replayed(first: TestResponse, second: TestResponse) -> None:
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (second.status_code, second.data) == (first.status_code, first.data)
    assert second.headers.get("Location") == first.headers.get("Location")
    assert second.mimetype == first.mimetype
