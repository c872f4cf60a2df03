"""Users who ask: made by the service itself, so that they are what its users are, with a token for every server."""

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

HOW_MANY = 16
PASSWORD = "correct horse battery staple"  # noqa: S105  # nobody's
LIFETIME_SECONDS = 86_400

# The table of rest_framework.authtoken, as its migrations make it.
TABLE_OF_KEYS = """
CREATE TABLE authtoken_token (
    key varchar(40) PRIMARY KEY,
    created timestamptz NOT NULL,
    user_id bigint NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
)
"""


@dataclass(frozen=True)
class Person:
    """A user, with the token that the service gave."""

    user_id: int
    service_token: str


def sign_in_people(service: Server) -> list[Person]:
    """Register users with the service, and sign them in."""
    return [_sign_in(service, f"measuring-{number}@example.com") for number in range(HOW_MANY)]


def _sign_in(service: Server, email: str) -> Person:
    credentials = {"email": email, "password": PASSWORD}
    account = json.dumps({**credentials, "display_name": "Ada"})
    made = service.ask(Route("register", "POST", "/api/v1/auth/register", 201, '"id"', account))
    login = Route("login", "POST", "/api/v1/auth/login", 200, "access_token", json.dumps(credentials))
    return Person(json.loads(made)["id"], json.loads(service.ask(login))["access_token"])


def tokens_for(server_name: str, people: list[Person]) -> list[str]:
    """Return the bearer tokens that a server takes."""
    if server_name.startswith(SERVICE):
        return [person.service_token for person in people]
    return [opaque(person) if server_name == DJANGO else signed(person) for person in people]


def opaque(person: Person) -> str:
    """Return a token that says nothing, of 40 characters as rest_framework.authtoken makes them."""
    return hashlib.sha256(f"{TOKEN_SECRET}{person.user_id}".encode()).hexdigest()[:40]


def signed(person: Person) -> str:
    """Return a JSON Web Token under HMAC-SHA256 (RFC 7519)."""
    claims = {"sub": str(person.user_id), "exp": int(time.time()) + LIFETIME_SECONDS}
    parts = [_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signature = hmac.digest(TOKEN_SECRET.encode(), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, _encoded(signature)])


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def keep_opaque_tokens(address: str, people: list[Person]) -> None:
    """Make the table that Django REST framework looks tokens up in, and fill it."""
    with psycopg.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE_OF_KEYS)
        rows = [(opaque(person), person.user_id) for person in people]
        cursor.executemany("INSERT INTO authtoken_token VALUES (%s, now(), %s)", rows)
