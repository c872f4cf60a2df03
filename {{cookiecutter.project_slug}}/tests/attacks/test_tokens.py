"""Every protected route rejects invalid tokens."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy.orm import Session

from app.accounts import service
from app.accounts.models import User
from app.platform.security import sessions, tokens
from tests.accounts.factory import bearer, make_session, make_user
from tests.environments import SECRETS
from tests.routes import Route, routes

SIGNING_KEY, FOREIGN_KEY = SECRETS["JWT_SECRET_KEY"], secrets.token_urlsafe(48)
NAME = "service-under-test"


def protected_routes(app: Flask) -> list[Route]:
    return [route for route in routes(app) if not route.is_public]


def base64_json(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def forge(claims: dict[str, Any], *, key: str = SIGNING_KEY, **header: Any) -> str:
    """Return a token with these claims; it is valid unless the key or the header differs from the service's."""
    kid = tokens._key(SIGNING_KEY).kid
    protected_header = {"alg": "HS256", "typ": "at+jwt", "kid": kid, **header}
    return jwt.encode(protected_header, claims, OctKey.import_key(key), algorithms=["HS256", "HS384", "HS512"])


def valid_claims(admin: User, session_id: int) -> dict[str, Any]:
    times = {"iat": int(time.time()), "exp": int(time.time()) + 60}
    return {"iss": NAME, "aud": NAME, "sub": str(admin.id), "role": "admin", "sid": session_id, **times}


@pytest.fixture
def invalid_tokens(app: Flask, session: Session) -> dict[str, str]:
    """Return tokens of an admin with an active session, each with one fault."""
    admin = make_user(session, role="admin")
    active = make_session(session, admin).id
    claims = valid_claims(admin, active)
    unsigned = f"{base64_json({'alg': 'none', 'typ': 'at+jwt'})}.{base64_json(claims)}"
    encoded_header, body, signature = forge(claims).split(".")
    with app.app_context():
        refresh = tokens.sign(tokens.REFRESH, admin.id, 60, sid=active, role="admin")
        reset = tokens.sign(tokens.RESET, admin.id, 60, sid=active, role="admin")
    return {
        "unsigned": f"{unsigned}.",
        "unsigned, with a signature": f"{unsigned}.{signature}",
        "unsigned, in other case": f"{base64_json({'alg': 'nOnE', 'typ': 'at+jwt'})}.{base64_json(claims)}.",
        "no signature": f"{encoded_header}.{body}.",
        "changed claims": f"{encoded_header}.{base64_json({**claims, 'sub': '1'})}.{signature}",
        "foreign key": forge(claims, key=FOREIGN_KEY),
        "unknown kid": forge(claims, kid="unknown"),
        "unknown kid and foreign key": forge(claims, key=FOREIGN_KEY, kid="unknown"),
        "path as kid": forge(claims, key=FOREIGN_KEY, kid="../../../dev/null"),
        "SQL as kid": forge(claims, key=FOREIGN_KEY, kid="' UNION SELECT 'x"),
        "embedded key": forge(claims, key=FOREIGN_KEY, jwk={"kty": "oct", "k": base64_json(FOREIGN_KEY)}),
        "key URL": forge(claims, key=FOREIGN_KEY, jku="https://evil.example.net/keys.json"),
        "another algorithm": forge(claims, alg="HS512"),
        "expired": forge({**claims, "exp": int(time.time()) - 60}),
        "no expiry": forge({name: value for name, value in claims.items() if name != "exp"}),
        "another issuer": forge({**claims, "iss": "another-service"}),
        "another audience": forge({**claims, "aud": "another-service"}),
        "no session": forge({name: value for name, value in claims.items() if name != "sid"}),
        "another type": forge(claims, typ="JWT"),
        "refresh token": refresh,
        "reset token": reset,
        "garbage": "garbage",
    }


@pytest.mark.req("A2")
def test_valid_forged_token_is_accepted(client: FlaskClient, session: Session) -> None:
    admin = make_user(session, role="admin")
    token = forge(valid_claims(admin, make_session(session, admin).id))

    assert client.get("/api/v1/admin/users", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.req("A2")
def test_no_route_accepts_an_invalid_token(app_without_limits: Flask, invalid_tokens: dict[str, str]) -> None:
    client = app_without_limits.test_client()
    for route in protected_routes(app_without_limits):
        for name, token in invalid_tokens.items():
            response = client.open(route.path(), method=route.method, headers={"Authorization": f"Bearer {token}"})

            assert response.status_code == 401, (route, name)


def end_sessions(app: Flask, session: Session, user: User) -> None:
    ids = service.end_sessions(session, user.id)
    session.commit()
    with app.app_context():
        sessions.revoke(ids)


@pytest.mark.req("A2")
def test_no_route_accepts_the_token_of_an_ended_session(
    app: Flask, app_without_limits: Flask, session: Session
) -> None:
    client = app_without_limits.test_client()
    for route in protected_routes(app_without_limits):
        admin = make_user(session, role="admin")
        headers = bearer(app, admin)
        end_sessions(app, session, admin)

        response = client.open(route.path(), method=route.method, headers=headers)

        assert response.status_code == 401, route
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.req("A2")
def test_token_in_another_place_is_ignored(app: Flask, app_without_limits: Flask, session: Session) -> None:
    headers = bearer(app, make_user(session, role="admin"))
    token = headers["Authorization"].removeprefix("Bearer ")
    misplaced: dict[str, dict[str, Any]] = {
        "basic": {"headers": {"Authorization": f"Basic {token}"}},
        "no scheme": {"headers": {"Authorization": token}},
        "proxy": {"headers": {"Proxy-Authorization": f"Bearer {token}"}},
        "cookie": {"headers": {"Cookie": f"access_token={token}; session={token}"}},
        "query": {"query_string": {"access_token": token}},
        "two": {"headers": {"Authorization": f"Bearer x, Bearer {token}"}},
    }

    for route in protected_routes(app_without_limits):
        for name, options in misplaced.items():
            response = app_without_limits.test_client().open(route.path(), method=route.method, **options)

            assert response.status_code == 401, (route, name)
