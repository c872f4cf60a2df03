"""Engine options: connections, pool and timeouts."""

from __future__ import annotations

import logging
import select
import time
from threading import Thread
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from app.platform.circuit_breaker import CircuitBreaker
from app.platform.database import json_values
from app.platform.database.pool_metrics import InstrumentedPool
from app.platform.database.statement_budget import STATEMENT_SECONDS
from app.platform.settings.database_url import query_text
from app.platform.settings.declarations import Settings

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 5
# The client waits this much longer than the server's statement timeout: a frozen server cannot time out.
CLIENT_GRACE_SECONDS = 2
# The server ends a transaction that sends nothing for this many statement timeouts: a frozen process would otherwise
# hold its row locks for as long as its machine keeps the connection open.
IDLE_STATEMENT_TIMEOUTS = 6
COOLDOWN_SECONDS = 2.0
CANCEL_SECONDS = 0.3  # a server that does not accept a cancellation in this time is frozen
# A connection that was used within this time is assumed to be open, unless the server has sent something since.
ASSUME_ALIVE_SECONDS = 10.0


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of `create_engine` except the URL.

    Error messages do not contain the parameters of statements: these may be personal data, and errors are logged.
    """
    url = make_url(settings.database_url)
    options: dict[str, Any] = {
        "hide_parameters": True,
        "connect_args": connect_arguments(url, settings),
        "json_deserializer": json_values.loads,
    }
    if url.get_backend_name() == "sqlite":
        return options
    if url.get_backend_name() != "postgresql":
        options["isolation_level"] = "READ COMMITTED"  # PostgreSQL's default, so that transactions behave alike
    return options | {
        "poolclass": InstrumentedPool,
        "pool_size": settings.DB_POOL_SIZE,
        "max_overflow": settings.DB_MAX_OVERFLOW,
        "pool_timeout": settings.DB_POOL_TIMEOUT,
        "pool_recycle": settings.DB_POOL_RECYCLE,
        "pool_pre_ping": True,
    }


def connect_arguments(url: URL, settings: Settings) -> dict[str, Any]:
    """Return the arguments of the driver: timeouts, session settings, application name and encryption."""
    match url.get_backend_name():
        case "postgresql":
            return _postgresql_arguments(url, settings)
        case "mysql" | "mariadb":
            return _mysql_arguments(settings)
        case _:
            return {"timeout": CONNECT_TIMEOUT_SECONDS}


def _postgresql_arguments(url: URL, settings: Settings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": settings.SERVICE_NAME,
        "client_encoding": "utf8",
        "keepalives_idle": 30,
        "tcp_user_timeout": settings.DB_STATEMENT_TIMEOUT_MS,
    }
    if is_pooled(url, settings):
        # The pooler rejects session settings, and the next transaction may use a server connection that does not have
        # the prepared statements of this one.
        arguments["prepare_threshold"] = None
    else:
        arguments["options"] = f"{query_text(url, 'options')} {_session_settings(settings)}".strip()
    return arguments | ({"sslmode": settings.DB_SSLMODE} if settings.DB_SSLMODE else {})


def is_pooled(url: URL, settings: Settings) -> bool:
    """Whether connections to this URL go through a connection pooler in transaction mode."""
    return settings.DB_TRANSACTION_POOLING and url == make_url(settings.database_url)


def _session_settings(settings: Settings) -> str:
    """Return the settings of a PostgreSQL session as command line options."""
    values = {
        "statement_timeout": settings.DB_STATEMENT_TIMEOUT_MS,
        "default_transaction_isolation": r"read\ committed",  # for which the locks are written; servers can differ
        "idle_in_transaction_session_timeout": settings.DB_STATEMENT_TIMEOUT_MS * IDLE_STATEMENT_TIMEOUTS,
        "timezone": "UTC",
    }
    return " ".join(f"-c {name}={value}" for name, value in values.items())


def _mysql_arguments(settings: Settings) -> dict[str, Any]:
    milliseconds = settings.DB_STATEMENT_TIMEOUT_MS
    wait = milliseconds // 1000 + CLIENT_GRACE_SECONDS
    idle = max(1, milliseconds * IDLE_STATEMENT_TIMEOUTS // 1000)
    # Each server executes only the comment marked for it; the two have different names for the statement's limit, and
    # MySQL has no limit for an idle transaction.
    limit = (
        f"/*M! , max_statement_time = {milliseconds / 1000}, idle_transaction_timeout = {idle} */"
        f" /*!50708 , max_execution_time = {milliseconds} */"
    )
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "read_timeout": wait,
        "write_timeout": wait,
        "charset": "utf8mb4",
        "init_command": f"SET time_zone = '+00:00' {limit}",
    }


class BoundedConnection(psycopg.Connection[Any]):
    """A connection with a client-side timeout, because a frozen server enforces none."""

    timeout_seconds: float | None = None
    breaker: CircuitBreaker
    last_used_at: float = 0.0  # monotonic seconds

    def is_assumed_alive(self) -> bool:
        """Whether it was used within `ASSUME_ALIVE_SECONDS` and the server has not closed it or sent anything since."""
        if time.monotonic() - self.last_used_at > ASSUME_ALIVE_SECONDS:
            return False
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return not poll.poll(0)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server, at most for the budget of the request or `timeout_seconds`."""
        limit = timeout or (self.timeout_seconds and STATEMENT_SECONDS.get()) or self.timeout_seconds
        try:
            result = super().wait(gen, interval=interval, timeout=limit)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 - psycopg documents that callers of wait() convert it
            if limit == self.timeout_seconds or not self._cancel_statement():
                self.breaker.record_failure()
            self.pgconn.finish()  # a late response must not be read as that of the next statement
            raise psycopg.OperationalError(f"the database did not answer within {limit:g} seconds") from None
        self.last_used_at = time.monotonic()
        return result

    def _cancel_statement(self) -> bool:
        """Make the server stop a statement that exceeds its budget; return False if the server is frozen."""
        try:
            self.cancel_safe(timeout=CANCEL_SECONDS)
        except psycopg.Error:
            return False
        return True


def install_client_timeouts(engine: sa.Engine, settings: Settings) -> None:
    """Make statements on a PostgreSQL engine fail when the server is silent for longer than the statement timeout.

    Without the circuit breaker, a frozen database would block every thread of a process, including those that answer
    `/health`. The pool's ping before use is skipped for a connection that is assumed alive: it costs each request a
    round trip.
    """
    if engine.dialect.name != "postgresql":
        return
    breaker = CircuitBreaker(COOLDOWN_SECONDS, trial=CONNECT_TIMEOUT_SECONDS + COOLDOWN_SECONDS)
    dialect = engine.dialect
    ping = dialect.do_ping

    def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> BoundedConnection:
        if not breaker.closed:
            if breaker.allows_request():
                Thread(target=_try_connection, args=(breaker, arguments, options), daemon=True).start()
            raise psycopg.OperationalError("the database did not answer a moment ago; the next attempt is due shortly")
        try:
            connection = BoundedConnection.connect(*arguments, **options)
        except psycopg.errors.ConnectionTimeout:
            breaker.record_failure()
            raise
        breaker.record_success()
        connection.timeout_seconds = settings.DB_STATEMENT_TIMEOUT_MS / 1000 + CLIENT_GRACE_SECONDS
        connection.breaker = breaker
        return connection

    def ping_unless_alive(connection: Any) -> bool:
        return connection.is_assumed_alive() or ping(connection)

    sa.event.listen(engine, "do_connect", connect)
    vars(dialect)["do_ping"] = ping_unless_alive  # SQLAlchemy has no event for it


def _try_connection(breaker: CircuitBreaker, arguments: list[Any], options: dict[str, Any]) -> None:
    """Connect, and close the breaker if the server answers; no request waits for it."""
    try:
        psycopg.connect(*arguments, **options).close()
    except psycopg.errors.ConnectionTimeout:
        breaker.record_failure()
    except psycopg.Error as error:
        logger.warning("cannot connect to the database: %s", error)
        breaker.record_success()  # it answers, so that an attempt costs no time
    else:
        breaker.record_success()
