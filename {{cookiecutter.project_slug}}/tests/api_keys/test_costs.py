"""A rejected request costs the database nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.api_keys import service
from app.platform.database.base import db, utc_now
from app.platform.redis.client import redis_of
from tests.accounts.factory import bearer
from tests.api_keys.factory import make_key
from tests.servers import RedisServer
from tests.statements import recorded_statements

ME, KEYS, LOGIN = "/api/v1/users/me", "/api/v1/api-keys", "/api/v1/auth/login"

Count = Callable[..., tuple[list[int], list[str]]]


@pytest.fixture
def environment_of_two(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment of an app that allows two reads."""
    return {**environment, "RATELIMIT_READ": "2/hour"}


@pytest.fixture
def limited(app: Flask, environment_of_two: Mapping[str, str]) -> Flask:
    return create_app(environment_of_two)


@pytest.fixture
def count_statements() -> Iterator[Count]:
    """Return a function that sends a request several times; it returns the statuses and the statements."""
    engines: list[sa.Engine] = []

    def count(app: Flask, times: int, **request: Any) -> tuple[list[int], list[str]]:
        with app.app_context():
            engines.append(db.engine)
        client, options = app.test_client(), {"path": ME, "method": "GET", **request}
        with recorded_statements(engines[-1]) as statements:
            statuses = [client.open(**options).status_code for _ in range(times)]
        return statuses, [statement for statement, _ in statements]

    yield count
    for engine in engines:
        engine.dispose()


@pytest.mark.fault("F13")
@pytest.mark.req("A8")
def test_key_over_its_limit_costs_no_statement(
    limited: Flask, session: Session, user: User, count_statements: Count
) -> None:
    headers = {"X-API-Key": make_key(session, user, "profile:read")[1]}

    allowed, cost = count_statements(limited, 2, headers=headers)
    rejected, no_cost = count_statements(limited, 5, headers=headers)

    assert (allowed, rejected) == ([200] * 2, [429] * 5)
    assert cost
    assert no_cost == []


@pytest.mark.fault("F13")
@pytest.mark.req("A8")
def test_other_process_knows_the_owner_of_the_key(
    limited: Flask,
    environment_of_two: Mapping[str, str],
    session: Session,
    user: User,
    count_statements: Count,
) -> None:
    if redis_of(limited) is None:
        pytest.skip("needs the app's Redis: run with TEST_DATABASE=postgresql")
    headers = {"X-API-Key": make_key(session, user, "profile:read")[1]}
    count_statements(limited, 2, headers=headers)

    assert count_statements(create_app(environment_of_two), 3, headers=headers) == ([429] * 3, [])


@pytest.mark.fault("F13")
@pytest.mark.req("A8")
def test_keys_and_sessions_of_a_user_share_one_limit(
    limited: Flask, session: Session, user: User, count_statements: Count
) -> None:
    first, second = ({"X-API-Key": make_key(session, user, "profile:read")[1]} for _ in range(2))

    statuses = [
        count_statements(limited, 1, headers=headers)[0][0] for headers in (first, second, bearer(limited, user))
    ]

    assert statuses == [200, 200, 429]
    assert count_statements(limited, 3, headers=second) == ([429] * 3, [])


def bad_keys(text: str) -> dict[str, str]:
    return {
        "malformed": "fsk_nonsense",
        "wrong checksum": f"{text[:20]}{'A' if text[20] != 'A' else 'B'}{text[21:]}",
        "only the prefix": text[:12],
        "no ASCII": f"{text[:-1]}é",
    }


@pytest.mark.parametrize("name", bad_keys("x" * 56))
@pytest.mark.fault("F13")
@pytest.mark.req("A2", "A8")
def test_text_that_is_no_key_costs_no_statement(
    app: Flask, session: Session, user: User, count_statements: Count, name: str
) -> None:
    headers = {"X-API-Key": bad_keys(make_key(session, user, "profile:read")[1])[name]}

    assert count_statements(app, 3, headers=headers) == ([401] * 3, [])


@pytest.mark.parametrize("end", ["revoked_at", "expires_at", "unknown"])
@pytest.mark.fault("F13")
@pytest.mark.req("A2", "A8")
def test_invalid_key_is_looked_up_once(
    app: Flask, session: Session, user: User, count_statements: Count, end: str
) -> None:
    key = service.new_key_text()[1] if end == "unknown" else make_key(session, user, **{end: utc_now()})[1]

    statuses, statements = count_statements(app, 4, headers={"X-API-Key": key})

    assert statuses == [401] * 4
    assert len(statements) == 1


@pytest.mark.fault("F13")
@pytest.mark.req("A8")
def test_invented_keys_of_one_address_are_limited(limited: Flask, count_statements: Count) -> None:
    for _ in range(2):
        count_statements(limited, 1, headers={"X-API-Key": service.new_key_text()[1]})

    for _ in range(5):
        headers = {"X-API-Key": service.new_key_text()[1]}
        assert count_statements(limited, 1, headers=headers) == ([429], [])


@pytest.mark.fault("F13")
@pytest.mark.req("A8")
def test_invented_keys_of_one_network_are_limited(limited: Flask, count_statements: Count) -> None:
    statuses = []
    for number in range(12):
        request = {
            "headers": {"X-API-Key": service.new_key_text()[1]},
            "environ_base": {"REMOTE_ADDR": f"2001:db8:1:{number}::1"},
        }
        found, statements = count_statements(limited, 1, **request)
        statuses += found
        assert not statements or found == [401]

    assert statuses == [401] * 8 + [429] * 4


@pytest.mark.req("A8")
def test_valid_keys_of_one_address_do_not_share_a_limit(
    limited: Flask, session: Session, user: User, other_user: User, count_statements: Count
) -> None:
    users = (user, other_user) * 2
    statuses = [
        count_statements(limited, 1, headers={"X-API-Key": make_key(session, owner, "profile:read")[1]})[0][0]
        for owner in users
    ]

    assert statuses == [200] * 4


@pytest.mark.fault("F13")
@pytest.mark.req("A8")
def test_revoked_key_does_not_count_for_its_former_owner(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    key, text = make_key(session, user, "profile:read")
    client.get(ME, headers={"X-API-Key": text})
    key.revoked_at = utc_now()
    session.commit()

    for _ in range(5):
        client.get(ME, headers={"X-API-Key": text})

    remaining = client.get(ME, headers=bearer(app, user)).headers["RateLimit-Remaining"]
    assert remaining == "197"  # the valid use, the one that found the key revoked, and this request


@pytest.mark.fault("F13")
@pytest.mark.req("A2")
def test_key_on_a_route_for_sessions_costs_no_statement(
    app: Flask, session: Session, user: User, count_statements: Count
) -> None:
    for text in (make_key(session, user, "profile:read")[1], service.new_key_text()[1], "fsk_nonsense"):
        assert count_statements(app, 2, path=KEYS, headers={"X-API-Key": text}) == ([403] * 2, [])


@pytest.mark.fault("F13")
@pytest.mark.req("A8")
def test_key_on_a_public_route_costs_no_statement(
    app: Flask, session: Session, user: User, count_statements: Count
) -> None:
    headers = {"X-API-Key": make_key(session, user, "profile:read")[1]}

    assert count_statements(app, 2, path="/api/v1/openapi.json", headers=headers) == ([200] * 2, [])


@pytest.mark.fault("F13")
@pytest.mark.req("A8")
def test_rejected_logins_cost_no_statement(app: Flask, user: User, count_statements: Count) -> None:
    body = {"email": user.email, "password": "a wrong password"}
    count_statements(app, 5, path=LOGIN, method="POST", json=body)

    at_home = count_statements(app, 3, path=LOGIN, method="POST", json=body)
    elsewhere = count_statements(
        app, 3, path=LOGIN, method="POST", json=body, environ_base={"REMOTE_ADDR": "192.0.2.9"}
    )

    assert at_home == elsewhere == ([429] * 3, [])


@pytest.mark.fault("F13")
@pytest.mark.req("A8")
def test_rejected_session_costs_no_statement_while_redis_is_down(
    app: Flask, environment_of_two: Mapping[str, str], user: User, count_statements: Count
) -> None:
    with RedisServer().start_on_a_free_port() as server:
        other_app = create_app({**environment_of_two, "REDIS_URL": server.url})
        server.kill()
        headers = bearer(other_app, user)
        count_statements(other_app, 2, headers=headers)

        assert count_statements(other_app, 3, headers=headers) == ([429] * 3, [])


def test_owners_of_keys_expire_in_redis(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    redis: Redis | None = redis_of(app)
    if redis is None:
        pytest.skip("needs the app's Redis: run with TEST_DATABASE=postgresql")
    _, text = make_key(session, user, "profile:read")
    client.get(ME, headers={"X-API-Key": text})

    (name,) = redis.keys("*:api-key-owner:*")
    assert 0 < redis.ttl(name) <= 86_400
    assert text[13:] not in name
