"""(d) A minimal WSGI app: a psycopg connection pool, orjson, and a JWT check without a library."""

from __future__ import annotations

import hmac
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

Environ = dict[str, Any]
Response = tuple[str, Any]  # status line, JSON body

SECRET = os.environ["TOKEN_SECRET"].encode()
pool = ConnectionPool(
    os.environ["DATABASE_URL"], min_size=4, max_size=4, kwargs={"autocommit": True, "row_factory": dict_row}, open=True
)

SELECT_PROFILE = "SELECT id, email, role, display_name, created_at FROM users WHERE id = %s"
COLUMNS = "user_id, latitude, longitude, accuracy, recorded_at, created_at"
INSERT_LOCATION = (
    f"INSERT INTO user_locations ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s) "  # noqa: S608  # constant column names
    "RETURNING id, user_id, latitude, longitude, accuracy, recorded_at"
)


class InvalidTokenError(Exception):
    """The token is missing, expired or has a wrong signature."""


def current_user_id(environ: Environ) -> int:
    """Return the user id in the bearer token, a JWT signed with HMAC-SHA256; raises InvalidTokenError."""
    signed, _, signature = environ.get("HTTP_AUTHORIZATION", "")[7:].rpartition(".")
    expected = urlsafe_b64encode(hmac.digest(SECRET, signed.encode(), "sha256")).rstrip(b"=")
    if not hmac.compare_digest(expected, signature.encode()):
        raise InvalidTokenError
    claims = orjson.loads(urlsafe_b64decode(signed.partition(".")[2] + "=="))
    if claims["exp"] < time.time():
        raise InvalidTokenError
    return int(claims["sub"])


def json_body(environ: Environ) -> Any:  # noqa: ANN401  # JSON of any type
    """Return the parsed request body."""
    return orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def health(_: Environ) -> Response:
    """Return a constant."""
    return "200 OK", {"status": "ok"}


def profile(environ: Environ) -> Response:
    """Return the user's profile."""
    with pool.connection() as connection:
        return "200 OK", connection.execute(SELECT_PROFILE, (current_user_id(environ),)).fetchone()


def create_location(environ: Environ) -> Response:
    """Insert a location."""
    user_id, item, now = current_user_id(environ), json_body(environ), datetime.now(UTC)
    row = (user_id, item["latitude"], item["longitude"], item["accuracy"], now, now)
    with pool.connection() as connection:
        return "201 Created", connection.execute(INSERT_LOCATION, row).fetchone()


def create_locations(environ: Environ) -> Response:
    """Insert a batch of locations with COPY."""
    user_id, items, now = current_user_id(environ), json_body(environ)["locations"], datetime.now(UTC)
    rows = [(user_id, i["latitude"], i["longitude"], i["accuracy"], i["recorded_at"], now) for i in items]
    statement = f"COPY user_locations ({COLUMNS}) FROM STDIN"
    with pool.connection() as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
    return "201 Created", {"accepted": len(items)}


ROUTES: dict[tuple[str, str], Callable[[Environ], Response]] = {
    ("GET", "/health"): health,
    ("GET", "/api/v1/users/me"): profile,
    ("POST", "/api/v1/locations"): create_location,
    ("POST", "/api/v1/locations/batch"): create_locations,
}


def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """Dispatch a request and serialize its response."""
    try:
        status, response = ROUTES[environ["REQUEST_METHOD"], environ["PATH_INFO"]](environ)
    except InvalidTokenError:
        status, response = "401 Unauthorized", {"status": "unauthorized"}
    body = orjson.dumps(response)
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
