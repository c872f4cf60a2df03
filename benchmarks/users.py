"""Users of the benchmark, registered through the service's API, with a bearer token for every server."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass

import psycopg

from benchmarks.routes import Route
from benchmarks.servers import DJANGO, SERVICE, TOKEN_SECRET, Server

USER_COUNT = 16
PASSWORD = "correct horse battery staple"  # noqa: S105  # of accounts that exist only during a run
TOKEN_LIFETIME_SECONDS = 86_400

# Same table as in the migrations of rest_framework.authtoken.
CREATE_DRF_TABLE = """
CREATE TABLE authtoken_token (
    key varchar(40) PRIMARY KEY,
    created timestamptz NOT NULL,
    user_id bigint NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
)
"""


@dataclass(frozen=True)
class BenchmarkUser:
    """A user, with an access token of the service."""

    user_id: int
    service_token: str


def create_users(service: Server) -> list[BenchmarkUser]:
    """Register users through the service's API and log them in."""
    return [_create_user(service, f"benchmark-{number}@example.com") for number in range(USER_COUNT)]


def _create_user(service: Server, email: str) -> BenchmarkUser:
    credentials = {"email": email, "password": PASSWORD}
    account = json.dumps({**credentials, "display_name": "Ada"})
    created = service.request(Route("register", "POST", "/api/v1/auth/register", 201, '"id"', account))
    login = Route("login", "POST", "/api/v1/auth/login", 200, "access_token", json.dumps(credentials))
    return BenchmarkUser(json.loads(created)["id"], json.loads(service.request(login))["access_token"])


def bearer_tokens(server_name: str, users: list[BenchmarkUser]) -> list[str]:
    """Return each user's bearer token for a server."""
    if server_name.startswith(SERVICE):
        return [user.service_token for user in users]
    return [drf_token(user) if server_name == DJANGO else encode_jwt(user) for user in users]


def drf_token(user: BenchmarkUser) -> str:
    """Return an opaque token of 40 characters, the format of rest_framework.authtoken."""
    return hashlib.sha256(f"{TOKEN_SECRET}{user.user_id}".encode()).hexdigest()[:40]


def encode_jwt(user: BenchmarkUser) -> str:
    """Return a JSON Web Token signed with HMAC-SHA256 (RFC 7519)."""
    claims = {"sub": str(user.user_id), "exp": int(time.time()) + TOKEN_LIFETIME_SECONDS}
    parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signature = hmac.digest(TOKEN_SECRET.encode(), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, _base64url(signature)])


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def create_drf_tokens(database_url: str, users: list[BenchmarkUser]) -> None:
    """Create and fill the token table of Django REST framework."""
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute(CREATE_DRF_TABLE)
        rows = [(drf_token(user), user.user_id) for user in users]
        cursor.executemany("INSERT INTO authtoken_token VALUES (%s, now(), %s)", rows)
