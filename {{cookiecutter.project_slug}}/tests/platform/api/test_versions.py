"""API versions, paths without a version, and deprecation headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.http import parse_date
from werkzeug.wrappers import Response

from app import create_app
from app.accounts.models import User
from app.platform.api.blueprints import Blueprint, register_blueprint
from app.platform.api.rate_limits import no_rate_limit
from app.platform.security.access import public
from tests.accounts.factory import bearer
from tests.environments import OPERATOR

DEPRECATED = {"API_V1_DEPRECATED_AT": "2026-03-01T12:00:00Z", "API_V1_SUNSET_AT": "2027-01-31"}
LEGACY = {"API_LEGACY_ENABLED": "true"}
DOCS_LINK = '</docs>; rel="deprecation"; type="text/html"'
DEPRECATION_HEADERS = ("Deprecation", "Sunset", "Link")

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(app: Flask, environment: Mapping[str, str]) -> MakeApp:
    """Return a function that creates other apps on the same database."""
    return lambda **settings: create_app({**environment, **settings})


def deprecation_headers(response: Response) -> set[str]:
    return {name for name in DEPRECATION_HEADERS if name in response.headers}


def link_to(path: str) -> str:
    return f'<{path}>; rel="successor-version"'


@pytest.mark.req("A1")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_version_is_served(client: FlaskClient, app: Flask, user: User, version: str) -> None:
    response = client.get(f"/api/{version}/users/me", headers=bearer(app, user))

    assert response.status_code == 200
    assert not deprecation_headers(response)


@pytest.mark.req("A1")
def test_paths_without_version_are_off_by_default(client: FlaskClient) -> None:
    response = client.get("/api/users/me")

    assert response.status_code == 404
    assert not deprecation_headers(response)


@pytest.mark.req("A1")
def test_deprecated_version_sends_deprecation_sunset_and_links(make_app: MakeApp, user: User) -> None:
    app = make_app(**DEPRECATED)

    response = app.test_client().get("/api/v1/users/me", headers=bearer(app, user))

    assert response.status_code == 200
    assert response.headers["Deprecation"] == f"@{int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())}"
    assert response.headers["Sunset"] == "Sun, 31 Jan 2027 00:00:00 GMT"
    assert parse_date(response.headers["Sunset"]) == datetime(2027, 1, 31, tzinfo=UTC)
    assert response.headers.getlist("Link") == [DOCS_LINK, link_to("/api/v2/users/me")]


@pytest.mark.req("A1")
@pytest.mark.parametrize("path", ["/api/v2/users/me", "/api/v10/users/me", "/api", "/health", "/docs", "/"])
def test_other_paths_send_no_deprecation_headers(make_app: MakeApp, path: str) -> None:
    with make_app(**DEPRECATED).test_client().get(path) as response:
        assert not deprecation_headers(response)


@pytest.mark.req("A1")
def test_no_sunset_header_without_sunset_setting(make_app: MakeApp) -> None:
    response = make_app(API_V1_DEPRECATED_AT="2026-03-01").test_client().get("/api/v1/users/me")

    assert "Deprecation" in response.headers
    assert "Sunset" not in response.headers


ERRORS = [
    ("get", "/api/v1/users/me", 401),
    ("get", "/api/v1/nothing/here", 404),
    ("put", "/api/v1/users/me", 405),
    ("post", "/api/v1/auth/login", 415),
    ("post", "/api/v1/auth/register", 429),
]


@pytest.mark.req("A1", "S11")
@pytest.mark.parametrize(("method", "path", "status"), ERRORS)
def test_errors_send_deprecation_headers(make_app: MakeApp, method: str, path: str, status: int) -> None:
    client = make_app(**DEPRECATED, RATELIMIT_REGISTER="1/hour").test_client()
    if status == 429:
        client.open(path, method=method)

    response = client.open(path, method=method)

    assert response.status_code == status
    assert deprecation_headers(response) == set(DEPRECATION_HEADERS)
    assert link_to(path.replace("v1", "v2")) in response.headers.getlist("Link")


@pytest.mark.req("A1")
def test_paths_without_version_serve_version_1_and_link_to_it(make_app: MakeApp, user: User) -> None:
    app = make_app(**LEGACY, API_LEGACY_SUNSET_AT="2026-12-31")

    response = app.test_client().get("/api/users/me", headers=bearer(app, user))

    assert response.get_json()["email"] == user.email
    assert response.headers["Deprecation"] == f"@{int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())}"
    assert response.headers["Sunset"] == "Thu, 31 Dec 2026 00:00:00 GMT"
    assert response.headers.getlist("Link") == [DOCS_LINK, link_to("/api/v1/users/me")]


@pytest.mark.req("A1")
def test_paths_without_version_skip_a_deprecated_successor(make_app: MakeApp) -> None:
    client = make_app(**LEGACY, **DEPRECATED).test_client()

    responses = [client.get(path) for path in ("/api/users/me", "/api/nothing", "/api/v1/users/me")]

    assert [response.headers.getlist("Link")[-1] for response in responses] == [
        link_to("/api/v2/users/me"),
        link_to("/api/v2/nothing"),
        link_to("/api/v2/users/me"),
    ]


@pytest.mark.req("A1")
def test_every_route_of_version_1_has_a_path_without_version(make_app: MakeApp) -> None:
    rules = {rule.rule for rule in make_app(**LEGACY).url_map.iter_rules()}
    first = {rule for rule in rules if rule.startswith("/api/v1/")} - {"/api/v1/openapi.json"}

    assert first
    assert {rule.replace("/v1", "", 1) for rule in first} <= rules


@pytest.mark.req("A1", "P3")
def test_path_that_never_had_a_version_is_not_deprecated(make_app: MakeApp) -> None:
    response = make_app(**LEGACY).test_client().get("/api/user/data-export")

    assert response.status_code == 401
    assert not deprecation_headers(response)


@pytest.mark.req("A1")
def test_existing_links_stay_and_missing_successor_is_not_linked(make_app: MakeApp) -> None:
    blueprint = Blueprint("fruit", __name__)

    @blueprint.get("/fruit")
    @no_rate_limit("a test")
    @public("a test")
    def fruit() -> Response:
        return Response(headers={"Link": '</fruit?cursor=2>; rel="next"'})

    app = make_app(**DEPRECATED)
    register_blueprint(app, blueprint, versions=("v1",))
    responses = [app.test_client().get(f"/api/{version}/fruit") for version in ("v1", "v2")]

    assert responses[0].headers.getlist("Link") == ['</fruit?cursor=2>; rel="next"', DOCS_LINK]
    assert [response.status_code for response in responses] == [200, 404]


@pytest.mark.req("A1")
def test_path_cannot_inject_headers(make_app: MakeApp) -> None:
    response = make_app(**DEPRECATED).test_client().get("/api/v1/%0d%0aSet-Cookie:%20a=b/%3E;%20rel=%22next%22,%3C")

    assert "Set-Cookie" not in response.headers
    assert response.headers.getlist("Link")[-1] == link_to(
        "/api/v2/%0D%0ASet-Cookie%3A%20a%3Db/%3E%3B%20rel%3D%22next%22%2C%3C"
    )


@pytest.mark.req("A1", "O1")
def test_path_without_version_has_its_own_metric_label(make_app: MakeApp) -> None:
    app = make_app(**LEGACY)
    client = app.test_client()
    client.get("/api/users/me")

    text = client.get("/metrics", headers=OPERATOR).text

    assert 'http_requests_total{endpoint="/api/users/me",method="GET",status="401"}' in text
