"""The creation of an API key that is repeated with its idempotency key."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.api_keys.models import ApiKey
from app.idempotency.models import IdempotencyKey
from tests.idempotency.repetitions import Send, assert_replayed, count

pytestmark = pytest.mark.req("A9")

API_KEYS = "/api/v1/api-keys"
NEW_KEY = {"name": "a key", "scopes": ["profile:read"]}


def test_repeated_creation_of_a_key_returns_the_key_that_is_not_stored_in_plain_text(
    session: Session, post_with_key: Send
) -> None:
    first, second = post_with_key(API_KEYS, json=NEW_KEY), post_with_key(API_KEYS, json=NEW_KEY)

    assert_replayed(first, second)
    assert count(session, ApiKey) == 1
    stored = session.execute(sa.text("SELECT answer FROM idempotency_keys")).scalar_one()
    assert stored.startswith("enc2:")
    assert first.get_json()["key"] not in stored


def test_rejection_after_the_limit_stores_nothing(session: Session, post_with_key: Send) -> None:
    for number in range(20):
        post_with_key(API_KEYS, f"key-{number}", json=NEW_KEY)

    response = post_with_key(API_KEYS, "another", json=NEW_KEY)

    assert (response.status_code, response.get_json()["type"]) == (409, "/problems/too-many-api-keys")
    assert count(session, IdempotencyKey) == 20
