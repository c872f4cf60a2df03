"""Tokens: JSON Web Tokens (RFC 7519) under HMAC-SHA256, with keys named by `kid` so that they can rotate.

Each kind names itself in its header (RFC 8725 section 3.11), so that none passes for another: access tokens (RFC 9068)
open routes, refresh tokens are exchanged for new ones, and reset tokens replace a password.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from flask import Flask, current_app
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, OctKey

from app.settings import settings_of

ALGORITHM = "HS256"
LEEWAY_SECONDS = 5  # clocks of replicas differ
# So many tokens are remembered, whose signature was good (100 µs); whether they have expired is asked each time.
REMEMBERED = 1024

Kind = Literal["at+jwt", "refresh+jwt", "reset+jwt"]
ACCESS: Kind = "at+jwt"
REFRESH: Kind = "refresh+jwt"
RESET: Kind = "reset+jwt"


class TokenError(Exception):
    """The token proves nothing; the text may be shown to the caller."""


@dataclass(frozen=True)
class Caller:
    """Whoever a token or an API key speaks for.

    A person is signed in with a session; an API key has none, and may do what its scopes name.
    """

    user_id: int
    role: str
    session_id: int | None = None
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Signer:
    """What makes and checks the tokens of one app."""

    keys: KeySet
    issuer: str
    lifetime: int  # seconds, of access tokens
    claims: jwt.JWTClaimsRegistry
    decode: Callable[[str], jwt.Token]


def init_app(app: Flask) -> None:
    """Take the keys from the settings: the first signs, all of them are accepted."""
    settings = settings_of(app)
    issuer = settings.SERVICE_NAME
    registry = jwt.JWTClaimsRegistry(
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": issuer},
        sub={"essential": True},
        exp={"essential": True},
    )
    keys = KeySet([_key(secret) for secret in settings.jwt_keys])
    decode = lru_cache(REMEMBERED)(lambda token: jwt.decode(token, keys, algorithms=[ALGORITHM]))
    app.extensions["tokens"] = Signer(keys, issuer, settings.ACCESS_TOKEN_SECONDS, registry, decode)


def _key(secret: str) -> OctKey:
    kid = hashlib.sha256(secret.encode()).hexdigest()[:16]
    return OctKey.import_key(secret, {"kid": kid, "use": "sig", "alg": ALGORITHM})


def _signer() -> Signer:
    signer: Signer = current_app.extensions["tokens"]
    return signer


def sign(kind: Kind, subject: int, lifetime: int, **claims: Any) -> str:
    """A token of a kind that speaks of a user for so many seconds."""
    signer = _signer()
    issued = int(time.time())
    standard = {
        "iss": signer.issuer,
        "aud": signer.issuer,
        "sub": str(subject),
        "iat": issued,
        "exp": issued + lifetime,
        "jti": uuid.uuid4().hex,
    }
    key = signer.keys.keys[0]
    return jwt.encode({"alg": ALGORITHM, "typ": kind, "kid": key.kid}, {**standard, **claims}, key)


def read(kind: Kind, token: str) -> dict[str, Any]:
    """The claims of a token; raises `TokenError` unless it is signed by us, for us, of this kind, and still good."""
    signer = _signer()
    try:
        decoded = signer.decode(token)
        signer.claims.validate(decoded.claims)
        int(decoded.claims["sub"])
    except ExpiredTokenError:
        raise TokenError("The token has expired.") from None
    except (JoseError, ValueError, TypeError, KeyError):
        raise TokenError("The token is not valid.") from None
    if decoded.header.get("typ") != kind:
        raise TokenError("The token is not valid.")
    return decoded.claims


def issue(caller: Caller) -> tuple[str, int]:
    """A new access token for somebody signed in, and the seconds it is good for."""
    lifetime = _signer().lifetime
    return sign(ACCESS, caller.user_id, lifetime, role=caller.role, sid=caller.session_id), lifetime


def verify(token: str) -> Caller:
    """Whoever an access token speaks for; raises `TokenError`."""
    claims = read(ACCESS, token)
    session_id = claims.get("sid")
    if type(session_id) is not int:
        raise TokenError("The token is not valid.")
    return Caller(int(claims["sub"]), str(claims.get("role", "")), session_id)
