"""Tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256; keys have a `kid`, so they can be rotated.

The header contains the type of the token (RFC 8725 section 3.11), so no type is accepted as another: access tokens
(RFC 9068) authorise requests, refresh tokens are exchanged for new tokens, reset tokens replace a password,
verification and e-mail change tokens confirm an address, and MFA tokens stand for the first step of a sign-in with two.
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

from app.platform.components import platform_of
from app.platform.settings.declarations import settings_of
from app.platform.web.caller import Caller

ALGORITHM = "HS256"
LEEWAY_SECONDS = 5  # clocks of replicas differ
# Tokens whose valid signature is cached (a check takes 100 µs); the expiry is checked at each use.
DECODE_CACHE_SIZE = 1024

TokenType = Literal["at+jwt", "refresh+jwt", "reset+jwt", "verification+jwt", "email-change+jwt", "mfa+jwt"]
ACCESS: TokenType = "at+jwt"
REFRESH: TokenType = "refresh+jwt"
RESET: TokenType = "reset+jwt"
VERIFICATION: TokenType = "verification+jwt"
EMAIL_CHANGE: TokenType = "email-change+jwt"
MFA: TokenType = "mfa+jwt"


class TokenError(Exception):
    """The token is not valid; the text may be shown to the caller."""


@dataclass(frozen=True)
class TokenSigner:
    """The keys, the issuer and the claim rules of the tokens of one app."""

    keys: KeySet
    issuer: str
    lifetime: int  # seconds, of access tokens
    claims: jwt.JWTClaimsRegistry
    decode: Callable[[str], jwt.Token]


def init_app(app: Flask) -> None:
    """Read the keys from the settings: the first signs, all are accepted."""
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
    decode = lru_cache(DECODE_CACHE_SIZE)(lambda token: jwt.decode(token, keys, algorithms=[ALGORITHM]))
    platform_of(app).add(TokenSigner(keys, issuer, settings.ACCESS_TOKEN_SECONDS, registry, decode))


def _key(secret: str) -> OctKey:
    kid = hashlib.sha256(secret.encode()).hexdigest()[:16]
    return OctKey.import_key(secret, {"kid": kid, "use": "sig", "alg": ALGORITHM})


def _signer() -> TokenSigner:
    return platform_of(current_app).get(TokenSigner)


def sign(kind: TokenType, subject: int, lifetime: int, **claims: Any) -> str:
    """Return a signed token of a type for a user (`subject`), valid for `lifetime` seconds."""
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


def decode(kind: TokenType, token: str) -> dict[str, Any]:
    """Return the claims; raises `TokenError` unless this service signed the token for itself, and it is unexpired."""
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


def issue_access_token(caller: Caller, max_lifetime: int | None = None) -> tuple[str, int]:
    """Return a new access token for a logged-in caller, and its lifetime in seconds, at most `max_lifetime`.

    `auth_time` (OpenID Connect Core section 2) is when the caller last proved the password.
    """
    lifetime = _signer().lifetime if max_lifetime is None else min(_signer().lifetime, max_lifetime)
    claims = {
        "role": caller.role,
        "sid": caller.session_id,
        "verified": caller.verified,
        "mfa": caller.mfa,
        "auth_time": caller.authenticated_at,
    }
    return sign(ACCESS, caller.user_id, lifetime, **claims), lifetime


def verify_access_token(token: str) -> Caller:
    """Return the caller of an access token; raises `TokenError`."""
    claims = decode(ACCESS, token)
    session_id, authenticated_at = claims.get("sid"), claims.get("auth_time", 0)
    if type(session_id) is not int or type(authenticated_at) is not int:
        raise TokenError("The token is not valid.")
    return Caller(
        int(claims["sub"]),
        str(claims.get("role", "")),
        session_id,
        verified=claims.get("verified", True) is True,  # the previous release signs tokens without it
        mfa=claims.get("mfa") is True,
        authenticated_at=authenticated_at,
    )
