"""How the database is connected to, and for how long anything waits for it."""

from __future__ import annotations

import select
import time
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from app.observability.pool_metrics import CountedPool
from app.settings import Settings

CONNECT_TIMEOUT_SECONDS = 5
# How much longer than the server's own statement timeout a client waits: a server that is frozen cannot time out.
CLIENT_GRACE_SECONDS = 2
PAUSE_SECONDS = 2.0
# For how long a connection that was used is trusted to be open, unless something has come on it.
TRUST_SECONDS = 10.0


def engine_options(settings: Settings) -> dict[str, Any]:
    """What `create_engine` is told beside the address.

    Parameters are hidden from error messages, which would put personal data into logs.
    """
    url = make_url(settings.database_url)
    options: dict[str, Any] = {"hide_parameters": True, "connect_args": connect_arguments(url, settings)}
    if url.get_backend_name() == "sqlite":
        return options
    if url.get_backend_name() != "postgresql":
        options["isolation_level"] = "READ COMMITTED"  # PostgreSQL's own, so that the code meets the same everywhere
    return options | {
        "poolclass": CountedPool,
        "pool_size": settings.DB_POOL_SIZE,
        "max_overflow": settings.DB_MAX_OVERFLOW,
        "pool_timeout": settings.DB_POOL_TIMEOUT,
        "pool_recycle": settings.DB_POOL_RECYCLE,
        "pool_pre_ping": True,
    }


def connect_arguments(url: URL, settings: Settings) -> dict[str, Any]:
    """The driver's own arguments: time limits, session settings, name and encryption of a connection."""
    match url.get_backend_name():
        case "postgresql":
            return _postgresql_arguments(settings)
        case "mysql" | "mariadb":
            return _mysql_arguments(settings)
        case _:
            return {"timeout": CONNECT_TIMEOUT_SECONDS}


def _postgresql_arguments(settings: Settings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": settings.SERVICE_NAME,
        "options": f"-c statement_timeout={settings.DB_STATEMENT_TIMEOUT_MS} -c timezone=UTC",
        "keepalives_idle": 30,
        "tcp_user_timeout": settings.DB_STATEMENT_TIMEOUT_MS,
    }
    return arguments | ({"sslmode": settings.DB_SSLMODE} if settings.DB_SSLMODE else {})


def _mysql_arguments(settings: Settings) -> dict[str, Any]:
    milliseconds = settings.DB_STATEMENT_TIMEOUT_MS
    wait = milliseconds // 1000 + CLIENT_GRACE_SECONDS
    # Each server runs only the comment that is marked for it, and calls the same limit by another name.
    limit = f"/*M! , max_statement_time = {milliseconds / 1000} */ /*!50708 , max_execution_time = {milliseconds} */"
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "read_timeout": wait,
        "write_timeout": wait,
        "charset": "utf8mb4",
        "init_command": f"SET time_zone = '+00:00' {limit}",
    }


class Silence:
    """Whether the database has stopped answering, so that not every request has to wait to find out.

    Without this, a frozen database would hold every thread of a process, those that answer `/health` included.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self, seconds: float = PAUSE_SECONDS) -> None:
        """Refuse whoever asks in the next seconds."""
        self._until = time.monotonic() + seconds

    def end(self) -> None:
        """Let everybody ask again."""
        self._until = 0.0

    def refuse_or_let_one_try(self) -> None:
        """Raise while the silence lasts; the first to come after it tries, and the others are refused meanwhile."""
        if not self._until:
            return
        if time.monotonic() < self._until:
            raise psycopg.OperationalError("the database gave no answer a moment ago, and is not asked again yet")
        self.begin(CONNECT_TIMEOUT_SECONDS + PAUSE_SECONDS)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that does not wait for ever on a server that is frozen and cannot time out by itself."""

    bound: float | None = None  # seconds
    silence: Silence
    heard: float = 0.0  # when it was last used, by the monotonic clock

    def is_known_to_live(self) -> bool:
        """Whether it was used a moment ago, and the server has neither closed it nor said anything since."""
        if time.monotonic() - self.heard > TRUST_SECONDS:
            return False
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return not poll.poll(0)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server, at most `bound` seconds."""
        try:
            result = super().wait(gen, interval=interval, timeout=timeout or self.bound)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 - what psycopg asks callers of wait() to convert
            self.silence.begin()
            self.pgconn.finish()  # an answer may still come, and must not be taken for that of the next statement
            raise psycopg.OperationalError(f"the database gave no answer within {self.bound:g} seconds") from None
        self.heard = time.monotonic()
        return result


def bound_waiting(engine: sa.Engine, settings: Settings) -> None:
    """Make statements on a PostgreSQL engine fail when the server is silent for longer than it may work on one.

    The pool's ping before use is left out where the connection is known to live: a round trip for each request.
    """
    if engine.dialect.name != "postgresql":
        return
    silence = Silence()
    dialect = engine.dialect
    ping = dialect.do_ping

    def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> BoundedConnection:
        silence.refuse_or_let_one_try()
        try:
            connection = BoundedConnection.connect(*arguments, **options)
        except psycopg.errors.ConnectionTimeout:
            silence.begin()
            raise
        silence.end()
        connection.bound = settings.DB_STATEMENT_TIMEOUT_MS / 1000 + CLIENT_GRACE_SECONDS
        connection.silence = silence
        return connection

    def ping_if_in_doubt(connection: Any) -> bool:
        return connection.is_known_to_live() or ping(connection)

    sa.event.listen(engine, "do_connect", connect)
    dialect.do_ping = ping_if_in_doubt  # type: ignore[assignment, method-assign] # there is no event for it
