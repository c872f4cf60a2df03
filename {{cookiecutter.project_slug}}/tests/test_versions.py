"""Versions side by side, addresses without one, and how callers learn that a version is to be left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.http import parse_date
from werkzeug.wrappers import Response

from app import create_app
from app.accounts.models import User
from app.api import Blueprint, register
from app.limits import unlimited
from app.security.access import public
from tests.accounts.factory import bearer

DEPRECATED = {"API_V1_DEPRECATED_AT": "2026-03-01T12:00:00Z", "API_V1_SUNSET_AT": "2027-01-31"}
LEGACY = {"API_LEGACY_ENABLED": "true"}
ABOUT = '</docs>; rel="deprecation"; type="text/html"'
NEWS = ("Deprecation", "Sunset", "Link")

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(app: Flask, environment: Mapping[str, str]) -> Iterator[MakeApp]:
    """Makes other apps on the same database."""
    yield lambda **settings: create_app({**environment, **settings})
    app.extensions["celery"].set_current()  # or else all tasks of later tests would go to the last one made


def news(answer: Response) -> set[str]:
    return {name for name in NEWS if name in answer.headers}


def link_to(path: str) -> str:
    return f'<{path}>; rel="successor-version"'


@pytest.mark.req("A1")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_version_answers(client: FlaskClient, app: Flask, user: User, version: str) -> None:
    answer = client.get(f"/api/{version}/users/me", headers=bearer(app, user))

    assert answer.status_code == 200
    assert not news(answer)


@pytest.mark.req("A1")
def test_there_are_no_addresses_without_a_version_by_default(client: FlaskClient) -> None:
    answer = client.get("/api/users/me")

    assert answer.status_code == 404
    assert not news(answer)


@pytest.mark.req("A1")
def test_a_deprecated_version_says_since_when_until_when_and_where_to_go(make_app: MakeApp, user: User) -> None:
    app = make_app(**DEPRECATED)

    answer = app.test_client().get("/api/v1/locations?limit=2", headers=bearer(app, user))

    assert answer.status_code == 200
    assert answer.headers["Deprecation"] == f"@{int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())}"
    assert answer.headers["Sunset"] == "Sun, 31 Jan 2027 00:00:00 GMT"
    assert parse_date(answer.headers["Sunset"]) == datetime(2027, 1, 31, tzinfo=UTC)
    assert answer.headers.getlist("Link") == [ABOUT, link_to("/api/v2/locations")]


@pytest.mark.req("A1")
@pytest.mark.parametrize("path", ["/api/v2/locations", "/api/v10/locations", "/api", "/health", "/docs", "/"])
def test_other_addresses_say_nothing_of_it(make_app: MakeApp, path: str) -> None:
    with make_app(**DEPRECATED).test_client().get(path) as answer:
        assert not news(answer)


@pytest.mark.req("A1")
def test_without_a_day_of_sunset_none_is_named(make_app: MakeApp) -> None:
    answer = make_app(API_V1_DEPRECATED_AT="2026-03-01").test_client().get("/api/v1/users/me")

    assert "Deprecation" in answer.headers
    assert "Sunset" not in answer.headers


ERRORS = [
    ("get", "/api/v1/users/me", 401),
    ("get", "/api/v1/nothing/here", 404),
    ("put", "/api/v1/locations", 405),
    ("post", "/api/v1/auth/login", 415),
    ("post", "/api/v1/auth/register", 429),
]


@pytest.mark.req("A1", "S11")
@pytest.mark.parametrize(("method", "path", "status"), ERRORS)
def test_errors_say_it_too(make_app: MakeApp, method: str, path: str, status: int) -> None:
    client = make_app(**DEPRECATED, RATELIMIT_REGISTER="1/hour").test_client()
    if status == 429:
        client.open(path, method=method)

    answer = client.open(path, method=method)

    assert answer.status_code == status
    assert news(answer) == set(NEWS)
    assert link_to(path.replace("v1", "v2")) in answer.headers.getlist("Link")


@pytest.mark.req("A1")
def test_where_enabled_version_1_answers_without_a_version_and_says_to_move_there(
    make_app: MakeApp, user: User
) -> None:
    app = make_app(**LEGACY, API_LEGACY_SUNSET_AT="2026-12-31")

    answer = app.test_client().get("/api/users/me", headers=bearer(app, user))

    assert answer.get_json()["email"] == user.email
    assert answer.headers["Deprecation"] == f"@{int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())}"
    assert answer.headers["Sunset"] == "Thu, 31 Dec 2026 00:00:00 GMT"
    assert answer.headers.getlist("Link") == [ABOUT, link_to("/api/v1/users/me")]


@pytest.mark.req("A1")
def test_callers_without_a_version_are_not_sent_to_one_that_is_to_be_left_itself(make_app: MakeApp) -> None:
    client = make_app(**LEGACY, **DEPRECATED).test_client()

    answers = [client.get(path) for path in ("/api/users/me", "/api/nothing", "/api/v1/users/me")]

    assert [answer.headers.getlist("Link")[-1] for answer in answers] == [
        link_to("/api/v2/users/me"),
        link_to("/api/v2/nothing"),
        link_to("/api/v2/users/me"),
    ]


@pytest.mark.req("A1")
def test_every_route_of_version_1_is_there_without_a_version(make_app: MakeApp) -> None:
    rules = {rule.rule for rule in make_app(**LEGACY).url_map.iter_rules()}
    first = {rule for rule in rules if rule.startswith("/api/v1/")} - {"/api/v1/openapi.json"}

    assert first
    assert {rule.replace("/v1", "", 1) for rule in first} <= rules


@pytest.mark.req("A1", "P3")
def test_an_address_that_never_had_a_version_is_not_deprecated(make_app: MakeApp) -> None:
    answer = make_app(**LEGACY).test_client().get("/api/user/data-export")

    assert answer.status_code == 401
    assert not news(answer)


@pytest.mark.req("A1")
def test_links_of_an_answer_are_kept_and_a_route_without_a_successor_names_none(make_app: MakeApp) -> None:
    blueprint = Blueprint("fruit", __name__)

    @blueprint.get("/fruit")
    @unlimited("of a test")
    @public("of a test")
    def fruit() -> Response:
        return Response(headers={"Link": '</fruit?cursor=2>; rel="next"'})

    app = make_app(**DEPRECATED)
    register(app, blueprint, versions=("v1",))
    answers = [app.test_client().get(f"/api/{version}/fruit") for version in ("v1", "v2")]

    assert answers[0].headers.getlist("Link") == ['</fruit?cursor=2>; rel="next"', ABOUT]
    assert [answer.status_code for answer in answers] == [200, 404]


@pytest.mark.req("A1")
def test_nothing_gets_out_of_a_path_into_a_header(make_app: MakeApp) -> None:
    answer = make_app(**DEPRECATED).test_client().get("/api/v1/%0d%0aSet-Cookie:%20a=b/%3E;%20rel=%22next%22,%3C")

    assert "Set-Cookie" not in answer.headers
    assert answer.headers.getlist("Link")[-1] == link_to(
        "/api/v2/%0D%0ASet-Cookie%3A%20a%3Db/%3E%3B%20rel%3D%22next%22%2C%3C"
    )


@pytest.mark.req("A1", "O1")
def test_an_address_without_a_version_is_counted_under_its_own_rule(make_app: MakeApp) -> None:
    app = make_app(**LEGACY)
    client = app.test_client()
    client.get("/api/users/me")

    text = client.get("/metrics", headers={"Authorization": f"Bearer {app.extensions['settings'].METRICS_TOKEN}"}).text

    assert 'http_requests_total{endpoint="/api/users/me",method="GET",status="401"}' in text
