"""A request that is repeated with its idempotency key has one effect and gets the same answer."""

from __future__ import annotations

from threading import Barrier, Thread
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts.models import User
from app.idempotency.models import IdempotencyKey
from app.locations.models import UserLocation
from app.platform.api.idempotency import IdempotencyStore
from app.platform.components import platform_of
from app.platform.database.base import db
from app.platform.redis.client import redis_of
from tests.accounts.factory import bearer
from tests.conftest import ReplaceComponent
from tests.idempotency.repetitions import KEY, Send, assert_replayed, count
from tests.locations.conftest import POSITION
from tests.statements import recorded_statements

pytestmark = pytest.mark.req("A9")


def test_repeated_request_creates_once(session: Session, send: Send) -> None:
    first, second = send(), send()

    assert first.status_code == 201
    assert_replayed(first, second)
    assert count(session, UserLocation) == 1


def test_repeated_request_on_another_replica_creates_once(session: Session, send: Send, replica: FlaskClient) -> None:
    first, second = send(), send(client=replica)

    assert_replayed(first, second)
    assert count(session, UserLocation) == 1


def test_batch_is_saved_once(session: Session, send: Send) -> None:
    batch = {"json": {"locations": [POSITION] * 3}, "path": "/api/v1/locations/batch"}

    first, second = send(**batch), send(**batch)

    assert_replayed(first, second)
    assert count(session, UserLocation) == 3


@pytest.mark.parametrize(
    "other",
    [{"json": {**POSITION, "latitude": 1.0}}, {"path": "/api/v2/locations"}],
    ids=["body", "route"],
)
def test_key_of_another_request_is_rejected(session: Session, send: Send, other: dict[str, Any]) -> None:
    send()

    response = send(**other)

    assert (response.status_code, response.get_json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert count(session, UserLocation) == 1


@pytest.mark.parametrize("key", ["", " ", "two words", "é", "x" * 256], ids=["empty", "blank", "space", "é", "long"])
def test_malformed_key_is_rejected(session: Session, send: Send, key: str) -> None:
    response = send(headers={}, environ_overrides={"HTTP_IDEMPOTENCY_KEY": key})

    assert (response.status_code, response.get_json()["type"]) == (400, "/problems/idempotency-key-malformed")
    assert "from 1 to 255 characters of visible ASCII" in response.get_json()["message"]
    assert count(session, UserLocation) == 0


def test_longest_key_is_accepted(session: Session, send: Send) -> None:
    key = "~" * 255

    assert_replayed(send(key), send(key))


def test_keys_of_users_never_meet(app: Flask, session: Session, send: Send, other_user: User) -> None:
    first = send()

    other = send(headers=bearer(app, other_user))

    assert other.status_code == 201
    assert "Idempotency-Replayed" not in other.headers
    assert other.get_json()["user_id"] != first.get_json()["user_id"]
    assert count(session, UserLocation) == 2


@pytest.mark.parametrize("invalid", [{"latitude": 91, "longitude": 0}, {}], ids=["value", "member"])
def test_rejected_request_stores_nothing(session: Session, send: Send, invalid: dict[str, Any]) -> None:
    assert send(json=invalid).status_code == 422

    assert count(session, IdempotencyKey) == 0
    assert send().status_code == 201


def test_failed_request_stores_nothing_and_can_be_repeated(
    app: Flask, session: Session, send: Send, replace_component: ReplaceComponent
) -> None:
    store = platform_of(app).get(IdempotencyStore)

    def fail(*_: object) -> None:
        raise RuntimeError("after the effect")

    replace_component(IdempotencyStore(store.find, fail))
    failed = send()
    replace_component(store)

    assert failed.status_code == 500
    assert count(session, UserLocation) == 0
    assert send().status_code == 201


def test_concurrent_requests_have_one_effect(
    app: Flask, session: Session, send: Send, replace_component: ReplaceComponent
) -> None:
    store, both_looked = platform_of(app).get(IdempotencyStore), Barrier(2, timeout=60)

    def find(*arguments: Any) -> Any:
        found = store.find(*arguments)
        both_looked.wait()
        return found

    replace_component(IdempotencyStore(find, store.save))
    responses: list[TestResponse] = []
    threads = [Thread(target=lambda: responses.append(send(client=app.test_client()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    replace_component(store)

    created, conflict = sorted(responses, key=lambda response: response.status_code)
    assert (created.status_code, conflict.status_code) == (201, 409)
    assert conflict.get_json()["type"] == "/problems/idempotency-conflict"
    assert conflict.headers["Retry-After"] == "1"
    assert count(session, UserLocation) == 1
    assert_replayed(created, send())


def test_erased_user_leaves_no_key(client: FlaskClient, session: Session, send: Send, headers: dict[str, str]) -> None:
    send()

    assert client.delete("/api/v1/users/me", headers=headers).status_code == 204

    assert count(session, IdempotencyKey) == 0


def test_undecryptable_answer_is_not_to_be_repeated(session: Session, send: Send) -> None:
    send()
    session.execute(sa.text("UPDATE idempotency_keys SET answer = 'enc2:00000000:gAAAAAlost'"))
    session.commit()

    response = send()

    assert (response.status_code, response.get_json()["type"]) == (409, "/problems/idempotency-answer-unreadable")
    assert "Retry-After" not in response.headers
    assert count(session, UserLocation) == 1


def statements(app: Flask, send: Any) -> int:
    with app.app_context(), recorded_statements(db.engine) as recorded:
        assert send().status_code == 201
    return len(recorded)


def test_key_costs_three_statements_and_its_absence_none(
    app: Flask, client: FlaskClient, headers: dict[str, str], send: Send
) -> None:
    def without_key() -> TestResponse:
        return client.post("/api/v1/locations", json=POSITION, headers=headers)

    without_key()  # counts the user's positions once

    plain = statements(app, without_key)  # without Redis, one of them looks the session up
    first, repeated = statements(app, send), statements(app, send)

    assert plain == (1 if redis_of(app) else 2)
    assert (first, repeated) == (plain + 3, plain)


def test_key_is_ignored_where_nothing_is_created(
    client: FlaskClient, session: Session, headers: dict[str, str]
) -> None:
    responses = [
        client.patch("/api/v1/users/me", json={"display_name": name}, headers={**headers, "Idempotency-Key": KEY})
        for name in ("Ada", "Grace")
    ]

    assert [response.get_json()["display_name"] for response in responses] == ["Ada", "Grace"]
    assert count(session, IdempotencyKey) == 0
