"""Access tokens: JSON Web Tokens (RFC 7519) under HMAC-SHA256, with keys named by `kid` so that they can rotate."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass

from flask import Flask, current_app
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, OctKey

from app.settings import settings_of

ALGORITHM = "HS256"
LEEWAY_SECONDS = 5  # clocks of replicas differ


class TokenError(Exception):
    """The token proves nothing; the text may be shown to the caller."""


@dataclass(frozen=True)
class Caller:
    """Whoever a token speaks for."""

    user_id: int
    role: str


@dataclass(frozen=True)
class Signer:
    """What makes and checks the tokens of one app."""

    keys: KeySet
    issuer: str
    lifetime: int  # seconds
    claims: jwt.JWTClaimsRegistry


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
    app.extensions["tokens"] = Signer(keys, issuer, settings.ACCESS_TOKEN_SECONDS, registry)


def _key(secret: str) -> OctKey:
    kid = hashlib.sha256(secret.encode()).hexdigest()[:16]
    return OctKey.import_key(secret, {"kid": kid, "use": "sig", "alg": ALGORITHM})


def _signer() -> Signer:
    signer: Signer = current_app.extensions["tokens"]
    return signer


def issue(caller: Caller) -> tuple[str, int]:
    """A new access token and the seconds it is good for."""
    signer = _signer()
    issued = int(time.time())
    claims = {
        "iss": signer.issuer,
        "aud": signer.issuer,
        "sub": str(caller.user_id),
        "role": caller.role,
        "iat": issued,
        "exp": issued + signer.lifetime,
        "jti": uuid.uuid4().hex,
    }
    key = signer.keys.keys[0]
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key), signer.lifetime


def verify(token: str) -> Caller:
    """Whoever the token speaks for; raises `TokenError` unless it is signed by us, for us, and still good."""
    if not token:
        raise TokenError("Sign in first, and send the token: Authorization: Bearer <access_token>.")
    signer = _signer()
    try:
        decoded = jwt.decode(token, signer.keys, algorithms=[ALGORITHM])
        signer.claims.validate(decoded.claims)
        return Caller(int(decoded.claims["sub"]), str(decoded.claims.get("role", "")))
    except ExpiredTokenError:
        raise TokenError("The access token has expired. Sign in again.") from None
    except (JoseError, ValueError, TypeError, KeyError):
        raise TokenError("The access token is not valid. Sign in again.") from None
