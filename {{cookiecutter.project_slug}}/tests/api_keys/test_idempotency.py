"""The creation of an API key that is repeated with its idempotency key."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.api_keys.models import ApiKey
from app.idempotency.models import IdempotencyKey
from tests.accounts.factory import bearer
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


@pytest.mark.req("P1")
@pytest.mark.fault("F64")
def test_answer_of_a_row_that_was_given_to_another_user_is_not_readable(
    app: Flask, session: Session, post_with_key: Send, other_user: User
) -> None:
    first = post_with_key(API_KEYS, json=NEW_KEY)
    session.execute(sa.update(IdempotencyKey).values(user_id=other_user.id))
    session.commit()

    response = post_with_key(API_KEYS, json=NEW_KEY, headers=bearer(app, other_user))

    assert (response.status_code, response.get_json()["type"]) == (409, "/problems/idempotency-answer-unreadable")
    assert first.get_json()["key"] not in response.text


def test_rejection_after_the_limit_stores_nothing(session: Session, post_with_key: Send) -> None:
    for number in range(20):
        post_with_key(API_KEYS, f"key-{number}", json=NEW_KEY)

    response = post_with_key(API_KEYS, "another", json=NEW_KEY)

    assert (response.status_code, response.get_json()["type"]) == (409, "/problems/too-many-api-keys")
    assert count(session, IdempotencyKey) == 20
