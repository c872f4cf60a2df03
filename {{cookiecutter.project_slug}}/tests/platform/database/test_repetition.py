"""A request that the database rolled back because of a concurrent one is repeated once, and has one effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from typing import Any

import psycopg
import pymysql
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import exc
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.platform.api.rate_limits import no_rate_limit
from app.platform.database.base import db
from app.platform.security.access import public
from app.platform.web.problem_types import PERMISSION_DENIED
from app.platform.web.problems import Problem

pytestmark = [pytest.mark.fault("F60"), pytest.mark.req("S5")]

DEADLOCK = exc.OperationalError("", None, psycopg.errors.DeadlockDetected())
CONFLICTS = (
    DEADLOCK,
    exc.OperationalError("", None, psycopg.errors.SerializationFailure()),
    exc.OperationalError("", None, pymysql.err.OperationalError(1213, "Deadlock found")),
    exc.OperationalError("", None, pymysql.err.OperationalError(1020, "Record has changed since last read")),
)
LOCK_TIMEOUT = exc.OperationalError("", None, psycopg.errors.LockNotAvailable())

Attempt = Callable[[int], str]
Post = Callable[..., tuple[int, int]]


@pytest.fixture
def route_app(app: Flask, environment: Mapping[str, str]) -> Iterator[Flask]:
    del app  # which migrates the database
    own = create_app(environment)
    yield own
    with own.app_context():
        db.engine.dispose()


@pytest.fixture
def post(route_app: Flask) -> Post:
    """Return a function that sends a request to a view, and returns the status and the number of attempts."""

    def send(attempt: Attempt, **options: Any) -> tuple[int, int]:
        attempts = 0

        @route_app.post("/repeated")
        @public("a test")
        @no_rate_limit("a test")
        def view() -> str:
            nonlocal attempts
            attempts += 1
            return attempt(attempts)

        return route_app.test_client().post("/repeated", **options).status_code, attempts

    return send


def fail_first(error: Exception) -> Attempt:
    def attempt(number: int) -> str:
        if number == 1:
            raise error
        return "done"

    return attempt


@pytest.mark.parametrize("error", CONFLICTS, ids=lambda error: repr(error.orig))
def test_rolled_back_request_is_repeated(post: Post, error: Exception) -> None:
    assert post(fail_first(error), json={"a": 1}) == (200, 2)


def test_rows_of_the_first_attempt_are_rolled_back(post: Post, session: Session) -> None:
    def attempt(number: int) -> str:
        db.session.add(User(email="ada@example.org", password_hash="", role="user"))
        db.session.flush()
        if number == 1:
            raise DEADLOCK
        db.session.commit()
        return "done"

    assert post(attempt) == (200, 2)
    assert session.scalar(sa.select(sa.func.count()).select_from(User)) == 1


def test_request_is_repeated_once_only(post: Post) -> None:
    def attempt(_: int) -> str:
        raise DEADLOCK

    assert post(attempt) == (503, 2)


def test_rejection_of_the_second_attempt_is_the_answer(post: Post) -> None:
    def attempt(number: int) -> str:
        raise DEADLOCK if number == 1 else Problem(PERMISSION_DENIED, "No.")

    assert post(attempt) == (403, 2)


def test_request_that_has_committed_is_not_repeated(post: Post) -> None:
    def attempt(_: int) -> str:
        db.session.commit()
        raise DEADLOCK

    assert post(attempt) == (503, 1)


def test_upload_is_not_repeated(post: Post) -> None:
    assert post(fail_first(DEADLOCK), data={"file": (BytesIO(b"a"), "a.csv")}) == (503, 1)


def test_other_errors_are_not_repeated(post: Post) -> None:
    assert post(fail_first(LOCK_TIMEOUT)) == (503, 1)


def test_both_requests_of_a_deadlock_succeed(route_app: Flask, session: Session, user: User, other_user: User) -> None:
    if session.get_bind().dialect.name == "sqlite":
        pytest.skip("SQLite locks no rows; production does not support it")
    attempts: list[int] = []
    both_have_locked = Barrier(2, timeout=60)

    @route_app.post("/locks/<int:first>/<int:second>")
    @public("a test")
    @no_rate_limit("a test")
    def lock(first: int, second: int) -> str:
        attempts.append(first)
        for user_id in (first, second):
            db.session.execute(sa.select(User.id).where(User.id == user_id).with_for_update())
            if user_id == first and len(attempts) <= 2:
                both_have_locked.wait()
        db.session.commit()
        return "done"

    def send(ids: tuple[int, int]) -> int:
        client: FlaskClient = route_app.test_client()
        return client.post(f"/locks/{ids[0]}/{ids[1]}").status_code

    ids = (user.id, other_user.id)
    with ThreadPoolExecutor(2) as threads:
        statuses = list(threads.map(send, [ids, ids[::-1]]))

    assert statuses == [200, 200]
    assert len(attempts) == 3
