"""Tokens: issue, verification, rejection and key rotation."""

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
from app.platform.security import tokens
from app.platform.security.tokens import TokenError
from app.platform.settings.declarations import settings_of
from app.platform.web.caller import Caller
from tests.environments import SECRETS, basic_environment

SIGNING_KEY = OctKey.import_key(SECRETS["JWT_SECRET_KEY"])
OTHER_KEY = OctKey.import_key(secrets.token_urlsafe(48))


@pytest.fixture(scope="module")
def signing_app() -> Flask:
    return create_app(basic_environment())


def claims(**changes: Any) -> dict[str, Any]:
    name = "service-under-test"
    valid = {"iss": name, "aud": name, "sub": "7", "role": "user", "sid": 3, "exp": int(time.time()) + 60}
    return {key: value for key, value in {**valid, **changes}.items() if value is not None}


def base64_json(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_issued_token_identifies_its_caller(signing_app: Flask) -> None:
    with signing_app.app_context():
        token, seconds = tokens.issue_access_token(Caller(7, "admin", 3))

        assert tokens.verify_access_token(token) == Caller(7, "admin", 3)
        assert seconds == 900


def test_tokens_have_standard_claims_and_the_type_of_their_use(signing_app: Flask) -> None:
    with signing_app.app_context():
        now = int(time.time())
        access = jwt.decode(tokens.sign(tokens.ACCESS, 7, 60, role="user", sid=3), SIGNING_KEY)
        reset = jwt.decode(tokens.sign(tokens.RESET, 7, 60), SIGNING_KEY)

    assert access.claims.keys() == {"iss", "aud", "sub", "iat", "exp", "jti", "role", "sid"}
    assert now <= access.claims["iat"] == access.claims["exp"] - 60
    assert (access.header["typ"], reset.header["typ"]) == ("at+jwt", "reset+jwt")


def test_token_with_valid_claims_is_accepted(signing_app: Flask) -> None:
    with signing_app.app_context():
        kid = tokens._signer().keys.keys[0].kid
        token = jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims(), SIGNING_KEY)

        assert tokens.verify_access_token(token) == Caller(7, "user", 3)


INVALID_TOKENS = {
    "empty": "",
    "no token": "abc",
    "three dots": "a.b.c",
    "unsigned": f"{base64_json({'alg': 'none', 'kid': 'x'})}.{base64_json(claims())}.",
    "another key": jwt.encode({"alg": "HS256", "kid": "x"}, claims(), OTHER_KEY),
}
INVALID_CLAIMS = {
    "expired": claims(exp=int(time.time()) - 60),
    "never expires": claims(exp=None),
    "another issuer": claims(iss="other-service"),
    "no issuer": claims(iss=None),
    "another audience": claims(aud="other-service"),
    "no subject": claims(sub=None),
    "a subject that is not an id": claims(sub="admin"),
    "no session": claims(sid=None),
    "a session that is not an id": claims(sid="3"),
}


@pytest.mark.parametrize("token", INVALID_TOKENS.values(), ids=INVALID_TOKENS)
def test_invalid_token_is_rejected(signing_app: Flask, token: str) -> None:
    with signing_app.app_context(), pytest.raises(TokenError):
        tokens.verify_access_token(token)


@pytest.mark.parametrize("content", INVALID_CLAIMS.values(), ids=INVALID_CLAIMS)
def test_signed_token_with_invalid_claims_is_rejected(signing_app: Flask, content: dict[str, Any]) -> None:
    with signing_app.app_context():
        kid = tokens._signer().keys.keys[0].kid
        token = jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": kid}, content, SIGNING_KEY)

        with pytest.raises(TokenError):
            tokens.verify_access_token(token)


@pytest.mark.parametrize("kind", ["JWT", "refresh+jwt", "reset+jwt", None])
def test_token_of_another_type_is_rejected(signing_app: Flask, kind: str | None) -> None:
    with signing_app.app_context():
        header = {"alg": "HS256", "kid": tokens._signer().keys.keys[0].kid, **({"typ": kind} if kind else {})}

        with pytest.raises(TokenError):
            tokens.verify_access_token(jwt.encode(header, claims(), SIGNING_KEY))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_other_algorithms_are_rejected(signing_app: Flask, algorithm: str) -> None:
    with signing_app.app_context():
        kid = tokens._signer().keys.keys[0].kid
        token = jwt.encode(
            {"alg": algorithm, "typ": "at+jwt", "kid": kid}, claims(), SIGNING_KEY, algorithms=[algorithm]
        )

        with pytest.raises(TokenError):
            tokens.verify_access_token(token)


def test_key_rotation_keeps_existing_tokens_valid(signing_app: Flask) -> None:
    with signing_app.app_context():
        old, _ = tokens.issue_access_token(Caller(7, "user", 3))
    new_key = secrets.token_urlsafe(48)
    rotated = create_app(basic_environment(JWT_SECRET_KEY=new_key, JWT_SECRET_KEY_FALLBACKS=SECRETS["JWT_SECRET_KEY"]))

    with rotated.app_context():
        assert tokens.verify_access_token(old) == Caller(7, "user", 3)
        new, _ = tokens.issue_access_token(Caller(7, "user", 3))
    with signing_app.app_context(), pytest.raises(TokenError):
        tokens.verify_access_token(new)


def test_tokens_and_encrypted_fields_survive_a_change_of_the_only_key() -> None:
    only = {"JWT_SECRET_KEY": "", "MASTER_ENCRYPTION_KEY": ""}
    before = create_app(basic_environment(**only))
    rotation = {"SECRET_KEY": secrets.token_urlsafe(48), "SECRET_KEY_FALLBACKS": before.config["SECRET_KEY"]}
    after = create_app(basic_environment(**only, **rotation))
    with before.app_context():
        token, _ = tokens.issue_access_token(Caller(7, "user", 3))

    with after.app_context():
        assert tokens.verify_access_token(token) == Caller(7, "user", 3)
    assert settings_of(before).encryption_keys[0] in settings_of(after).encryption_keys[1:]
    assert after.config["SECRET_KEY_FALLBACKS"] == [before.config["SECRET_KEY"]]


def test_cached_token_expires(signing_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + 3600
    with signing_app.app_context():
        token = tokens.sign(tokens.ACCESS, 7, 60, role="user", sid=3)
        assert tokens.verify_access_token(token).user_id == 7
        monkeypatch.setattr(time, "time", lambda: later)

        with pytest.raises(TokenError, match="expired"):
            tokens.verify_access_token(token)
