"""(d) The floor: a WSGI callable, a pool of psycopg connections, orjson, and the token's signature checked by hand."""

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
Answer = tuple[str, Any]

SECRET = os.environ["TOKEN_SECRET"].encode()
pool = ConnectionPool(
    os.environ["DATABASE_URL"], min_size=4, max_size=4, kwargs={"autocommit": True, "row_factory": dict_row}, open=True
)

READ = "SELECT id, email, role, display_name, created_at FROM users WHERE id = %s"
COLUMNS = "user_id, latitude, longitude, accuracy, recorded_at, created_at"
SAVE = (
    f"INSERT INTO user_locations ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s) "  # noqa: S608  # names of columns
    "RETURNING id, user_id, latitude, longitude, accuracy, recorded_at"
)


class RefusedError(Exception):
    """The token is no good."""


def caller_id(environ: Environ) -> int:
    """Return whom the bearer token (a JWT under HMAC-SHA256) speaks for; raises RefusedError."""
    signed, _, signature = environ.get("HTTP_AUTHORIZATION", "")[7:].rpartition(".")
    expected = urlsafe_b64encode(hmac.digest(SECRET, signed.encode(), "sha256")).rstrip(b"=")
    if not hmac.compare_digest(expected, signature.encode()):
        raise RefusedError
    claims = orjson.loads(urlsafe_b64decode(signed.partition(".")[2] + "=="))
    if claims["exp"] < time.time():
        raise RefusedError
    return int(claims["sub"])


def sent(environ: Environ) -> Any:  # noqa: ANN401  # whatever the caller's JSON holds
    """Return the body."""
    return orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def health(_: Environ) -> Answer:
    """Answer without doing anything."""
    return "200 OK", {"status": "ok"}


def me(environ: Environ) -> Answer:
    """Return the caller's profile."""
    with pool.connection() as connection:
        return "200 OK", connection.execute(READ, (caller_id(environ),)).fetchone()


def save(environ: Environ) -> Answer:
    """Save a position."""
    user_id, item, now = caller_id(environ), sent(environ), datetime.now(UTC)
    row = (user_id, item["latitude"], item["longitude"], item["accuracy"], now, now)
    with pool.connection() as connection:
        return "201 Created", connection.execute(SAVE, row).fetchone()


def save_batch(environ: Environ) -> Answer:
    """Save many positions."""
    user_id, items, now = caller_id(environ), sent(environ)["locations"], datetime.now(UTC)
    rows = [(user_id, i["latitude"], i["longitude"], i["accuracy"], i["recorded_at"], now) for i in items]
    statement = f"COPY user_locations ({COLUMNS}) FROM STDIN"
    with pool.connection() as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
    return "201 Created", {"accepted": len(items)}


ROUTES: dict[tuple[str, str], Callable[[Environ], Answer]] = {
    ("GET", "/health"): health,
    ("GET", "/api/v1/users/me"): me,
    ("POST", "/api/v1/locations"): save,
    ("POST", "/api/v1/locations/batch"): save_batch,
}


def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """Answer a request."""
    try:
        status, answer = ROUTES[environ["REQUEST_METHOD"], environ["PATH_INFO"]](environ)
    except RefusedError:
        status, answer = "401 Unauthorized", {"status": "refused"}
    body = orjson.dumps(answer)
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
