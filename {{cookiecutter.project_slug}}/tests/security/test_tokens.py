"""Tokens that prove nothing are refused, whatever they look like."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import OctKey

from app import create_app
from app.security import tokens
from app.security.tokens import Caller, TokenError
from tests.environments import SECRETS, basic_environment

OURS = OctKey.import_key(SECRETS["JWT_SECRET_KEY"])
THEIRS = OctKey.import_key(secrets.token_urlsafe(48))


@pytest.fixture(scope="module")
def signing() -> Flask:
    return create_app(basic_environment())


def claims(**changes: Any) -> dict[str, Any]:
    name = "service-under-test"
    good = {"iss": name, "aud": name, "sub": "7", "role": "user", "sid": 3, "exp": int(time.time()) + 60}
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_an_issued_token_speaks_for_its_caller(signing: Flask) -> None:
    with signing.app_context():
        token, seconds = tokens.issue(Caller(7, "admin", 3))

        assert tokens.verify(token) == Caller(7, "admin", 3)
        assert seconds == 900


def test_a_token_with_good_claims_is_accepted_so_that_the_refusals_mean_something(signing: Flask) -> None:
    with signing.app_context():
        kid = tokens._signer().keys.keys[0].kid
        token = jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims(), OURS)

        assert tokens.verify(token) == Caller(7, "user", 3)


BAD = {
    "empty": "",
    "rubbish": "rubbish",
    "three dots": "a.b.c",
    "unsigned": f"{part({'alg': 'none', 'kid': 'x'})}.{part(claims())}.",
    "another key": jwt.encode({"alg": "HS256", "kid": "x"}, claims(), THEIRS),
}
BAD_CLAIMS = {
    "expired": claims(exp=int(time.time()) - 60),
    "never expires": claims(exp=None),
    "another issuer": claims(iss="somebody"),
    "no issuer": claims(iss=None),
    "another audience": claims(aud="somebody"),
    "no subject": claims(sub=None),
    "a subject that is no id": claims(sub="admin"),
    "no session": claims(sid=None),
    "a session that is no id": claims(sid="3"),
}


@pytest.mark.parametrize("token", BAD.values(), ids=BAD)
def test_a_bad_token_is_refused(signing: Flask, token: str) -> None:
    with signing.app_context(), pytest.raises(TokenError):
        tokens.verify(token)


@pytest.mark.parametrize("content", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_a_token_of_ours_with_bad_claims_is_refused(signing: Flask, content: dict[str, Any]) -> None:
    with signing.app_context():
        kid = tokens._signer().keys.keys[0].kid
        token = jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": kid}, content, OURS)

        with pytest.raises(TokenError):
            tokens.verify(token)


@pytest.mark.parametrize("kind", ["JWT", "refresh+jwt", "reset+jwt", None])
def test_a_token_of_another_kind_is_refused(signing: Flask, kind: str | None) -> None:
    with signing.app_context():
        header = {"alg": "HS256", "kid": tokens._signer().keys.keys[0].kid, **({"typ": kind} if kind else {})}

        with pytest.raises(TokenError):
            tokens.verify(jwt.encode(header, claims(), OURS))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused(signing: Flask, algorithm: str) -> None:
    with signing.app_context():
        kid = tokens._signer().keys.keys[0].kid
        token = jwt.encode({"alg": algorithm, "typ": "at+jwt", "kid": kid}, claims(), OURS, algorithms=[algorithm])

        with pytest.raises(TokenError):
            tokens.verify(token)


def test_a_rotation_of_the_key_signs_no_one_out(signing: Flask) -> None:
    with signing.app_context():
        old, _ = tokens.issue(Caller(7, "user", 3))
    new_key = secrets.token_urlsafe(48)
    rotated = create_app(basic_environment(JWT_SECRET_KEY=new_key, JWT_SECRET_KEY_FALLBACKS=SECRETS["JWT_SECRET_KEY"]))

    with rotated.app_context():
        assert tokens.verify(old) == Caller(7, "user", 3)
        new, _ = tokens.issue(Caller(7, "user", 3))
    with signing.app_context(), pytest.raises(TokenError):
        tokens.verify(new)


def test_a_token_that_was_good_a_moment_ago_expires_all_the_same(
    signing: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time() + 3600
    with signing.app_context():
        token = tokens.sign(tokens.ACCESS, 7, 60, role="user", sid=3)
        assert tokens.verify(token).user_id == 7
        monkeypatch.setattr(time, "time", lambda: later)

        with pytest.raises(TokenError, match="expired"):
            tokens.verify(token)
