"""Bounds on how many requests of one kind run at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from app import create_app
from app.platform.api.concurrency import ConcurrencyLimits, check_limits, concurrency_limit
from app.platform.components import platform_of
from app.platform.redis.client import redis_of
from app.platform.security.access import public
from tests.environments import basic_environment

pytestmark = pytest.mark.req("S13")

LOGIN = "/api/v1/auth/login"
WRONG = {"email": "unknown@example.org", "password": "wrong password"}


@pytest.fixture
def _no_free_slot(app: Flask) -> Iterator[None]:
    """Take every slot for passwords."""
    slot = platform_of(app).get(ConcurrencyLimits)["CONCURRENCY_HASHING"]
    taken = 0
    while slot.acquire(blocking=False):
        taken += 1
    yield
    slot.release(taken)


@pytest.mark.usefixtures("_no_free_slot")
@pytest.mark.fault("F31")
def test_refused_request_reaches_neither_redis_nor_database(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a refused request must cost nothing")

    if redis := redis_of(app):
        monkeypatch.setattr(redis, "execute_command", fail)
    monkeypatch.setattr("app.accounts.service.find_by_email", fail)

    response = app.test_client().post(LOGIN, json=WRONG)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.content_type == "application/problem+json"


@pytest.mark.usefixtures("_no_free_slot")
def test_preflight_and_wrong_method_need_no_slot(app: Flask) -> None:
    client = app.test_client()

    assert client.options(LOGIN).status_code == 200
    assert client.get(LOGIN).status_code == 405


def test_slot_is_free_after_every_response(app: Flask) -> None:
    slots = platform_of(app).get(ConcurrencyLimits)["CONCURRENCY_HASHING"]
    before = slots._value

    statuses = [app.test_client().post(LOGIN, json=body).status_code for body in (WRONG, {}, "text")]

    assert statuses[0] == 401
    assert slots._value == before


def test_limit_that_is_no_setting_stops_the_start() -> None:
    app = create_app(basic_environment())

    @app.get("/misspelt")
    @public("a test")
    @concurrency_limit("CONCURRENCY_HASH")
    def misspelt() -> str:
        return ""

    with pytest.raises(LookupError, match="CONCURRENCY_HASH is no setting"):
        check_limits(app)
