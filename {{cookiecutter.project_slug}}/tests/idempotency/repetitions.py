"""Requests that are repeated with an idempotency key, for the tests of features with routes that create something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"

Send = Callable[..., TestResponse]


@pytest.fixture
def post_with_key(client: FlaskClient, headers: dict[str, str]) -> Send:
    """Return a function that sends a POST request with an idempotency key."""

    def post(path: str, key: str = KEY, *, client: FlaskClient = client, **options: Any) -> TestResponse:
        sent = {**headers, "Idempotency-Key": key, **options.pop("headers", {})}
        return client.post(path, headers=sent, **options)

    return post


def count(session: Session, model: Any) -> int:
    """Return the number of committed rows."""
    session.rollback()
    return session.scalars(sa.select(sa.func.count()).select_from(model)).one()


def assert_replayed(first: TestResponse, second: TestResponse) -> None:
    """Assert that the second answer is the stored first one."""
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (second.status_code, second.data) == (first.status_code, first.data)
    assert second.headers.get("Location") == first.headers.get("Location")
    assert second.mimetype == first.mimetype
