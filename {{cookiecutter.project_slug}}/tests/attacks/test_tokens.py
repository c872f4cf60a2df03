"""Tokens that prove nothing open no route that asks for one."""

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
from app.security import sessions, tokens
from tests.accounts.factory import bearer, make_session, make_user
from tests.environments import SECRETS
from tests.routes import Route, routes

OURS, THEIRS = SECRETS["JWT_SECRET_KEY"], secrets.token_urlsafe(48)
NAME = "service-under-test"


def protected(app: Flask) -> list[Route]:
    return [route for route in routes(app) if not route.is_public]


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def forge(claims: dict[str, Any], *, key: str = OURS, **header: Any) -> str:
    """A token as ours are, but for what is given."""
    kid = tokens._key(OURS).kid
    head = {"alg": "HS256", "typ": "at+jwt", "kid": kid, **header}
    return jwt.encode(head, claims, OctKey.import_key(key), algorithms=["HS256", "HS384", "HS512"])


def good_claims(admin: User, session_id: int) -> dict[str, Any]:
    times = {"iat": int(time.time()), "exp": int(time.time()) + 60}
    return {"iss": NAME, "aud": NAME, "sub": str(admin.id), "role": "admin", "sid": session_id, **times}


@pytest.fixture
def bad_tokens(app: Flask, session: Session) -> dict[str, str]:
    """Tokens for an admin whose session lives, each with one thing wrong."""
    admin = make_user(session, role="admin")
    alive = make_session(session, admin).id
    claims = good_claims(admin, alive)
    unsigned = f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{part(claims)}"
    head, body, signature = forge(claims).split(".")
    with app.app_context():
        refresh = tokens.sign(tokens.REFRESH, admin.id, 60, sid=alive, role="admin")
        reset = tokens.sign(tokens.RESET, admin.id, 60, sid=alive, role="admin")
    return {
        "unsigned": f"{unsigned}.",
        "unsigned, with a signature": f"{unsigned}.{signature}",
        "unsigned, in other letters": f"{part({'alg': 'nOnE', 'typ': 'at+jwt'})}.{part(claims)}.",
        "signature left out": f"{head}.{body}.",
        "claims exchanged": f"{head}.{part({**claims, 'sub': '1'})}.{signature}",
        "another's key": forge(claims, key=THEIRS),
        "a kid of nobody": forge(claims, kid="nobody"),
        "a kid of nobody and another's key": forge(claims, key=THEIRS, kid="nobody"),
        "a kid that is a path": forge(claims, key=THEIRS, kid="../../../dev/null"),
        "a kid that is SQL": forge(claims, key=THEIRS, kid="' UNION SELECT 'x"),
        "a key of its own": forge(claims, key=THEIRS, jwk={"kty": "oct", "k": part(THEIRS)}),
        "a key from elsewhere": forge(claims, key=THEIRS, jku="https://evil.example.net/keys.json"),
        "another algorithm": forge(claims, alg="HS512"),
        "expired": forge({**claims, "exp": int(time.time()) - 60}),
        "for ever": forge({name: value for name, value in claims.items() if name != "exp"}),
        "another issuer": forge({**claims, "iss": "another-service"}),
        "another audience": forge({**claims, "aud": "another-service"}),
        "no session": forge({name: value for name, value in claims.items() if name != "sid"}),
        "an untyped token": forge(claims, typ="JWT"),
        "a refresh token": refresh,
        "a reset token": reset,
        "rubbish": "rubbish",
    }


@pytest.mark.req("A2")
def test_the_same_token_with_nothing_wrong_opens_routes_so_that_the_refusals_mean_something(
    client: FlaskClient, session: Session
) -> None:
    admin = make_user(session, role="admin")
    token = forge(good_claims(admin, make_session(session, admin).id))

    assert client.get("/api/v1/admin/users", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.req("A2")
def test_a_bad_token_opens_no_route(attacked: Flask, bad_tokens: dict[str, str]) -> None:
    client = attacked.test_client()
    let_in = [
        (str(route), name, answer.status_code)
        for route in protected(attacked)
        for name, token in bad_tokens.items()
        if (
            answer := client.open(route.path(), method=route.method, headers={"Authorization": f"Bearer {token}"})
        ).status_code
        != 401
    ]

    assert not let_in


def ended(app: Flask, session: Session, user: User) -> None:
    ids = service.end_sessions(session, user.id)
    session.commit()
    with app.app_context():
        sessions.end(ids)


@pytest.mark.req("A2")
def test_the_token_of_an_ended_session_opens_no_route(app: Flask, attacked: Flask, session: Session) -> None:
    client = attacked.test_client()
    for route in protected(attacked):
        admin = make_user(session, role="admin")
        headers = bearer(app, admin)
        ended(app, session, admin)

        answer = client.open(route.path(), method=route.method, headers=headers)

        assert answer.status_code == 401, route
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.req("A2")
def test_a_good_token_at_another_place_is_none(app: Flask, attacked: Flask, session: Session) -> None:
    headers = bearer(app, make_user(session, role="admin"))
    token = headers["Authorization"].removeprefix("Bearer ")
    elsewhere: dict[str, dict[str, Any]] = {
        "basic": {"headers": {"Authorization": f"Basic {token}"}},
        "no scheme": {"headers": {"Authorization": token}},
        "proxy": {"headers": {"Proxy-Authorization": f"Bearer {token}"}},
        "cookie": {"headers": {"Cookie": f"access_token={token}; session={token}"}},
        "query": {"query_string": {"access_token": token}},
        "two": {"headers": {"Authorization": f"Bearer x, Bearer {token}"}},
    }

    for route in protected(attacked):
        for name, options in elsewhere.items():
            answer = attacked.test_client().open(route.path(), method=route.method, **options)

            assert answer.status_code == 401, (route, name)
