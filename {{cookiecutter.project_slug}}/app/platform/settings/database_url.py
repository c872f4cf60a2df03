"""The URL of the database: which databases it may name, and which parameters reach the driver."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import signature
from typing import Any
from urllib.parse import unquote

from psycopg.pq import Conninfo
from pymysql.connections import Connection as MySQLConnection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

DATABASE_SCHEMES = ("postgresql", "postgres", "mysql", "mariadb", "sqlite")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%\w+)?")  # a name, or an IPv6 address
PORT, MAX_PORT = re.compile("[0-9]{1,5}"), 65_535
DATABASE_PARAMETERS = {"dbname", "service", "database", "db"}  # that drivers accept instead of a path
FORM = (
    "It must look like postgresql://user:password@host:5432/name, with special characters in the user name and the "
    "password percent-encoded: @ is %40, / is %2F, % is %25."
)
# The parameters that `app.platform.database.engine` sets, with what to do instead.
SET_BY_SERVICE: Mapping[str, Mapping[str, str]] = {
    "postgresql": {
        "application_name": "set SERVICE_NAME",
        "client_encoding": "the service needs UTF-8",
        "connect_timeout": "the service sets it",
        "keepalives_idle": "the service sets it",
        "tcp_user_timeout": "set DB_STATEMENT_TIMEOUT_MS",
    },
    "mysql": {
        "charset": "the service sets utf8mb4",
        "connect_timeout": "the service sets it",
        "init_command": "the service sets it",
        "read_timeout": "set DB_STATEMENT_TIMEOUT_MS",
        "write_timeout": "set DB_STATEMENT_TIMEOUT_MS",
    },
    "sqlite": {"timeout": "the service sets it"},
}
# The same for settings of PostgreSQL in the parameter `options`, like ?options=-csearch_path%3Dtenant.
OPTIONS_SET_BY_SERVICE = {
    "idle_in_transaction_session_timeout": "set DB_STATEMENT_TIMEOUT_MS",
    "statement_timeout": "set DB_STATEMENT_TIMEOUT_MS",
    "timezone": "the service needs UTC",
}

# Parameters whose values are no text, with what to do instead.
NO_TEXT: Mapping[str, Mapping[str, str]] = {"mysql": {"ssl": "use ssl_ca, ssl_cert and ssl_key"}}


def database_url_problem(url: str) -> str:
    """Return what is wrong with the URL, as the predicate of a sentence without any part of it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return f"is not valid. {FORM}"
    return "" if parsed.get_backend_name() == "sqlite" else next(_server_problems(url, parsed), "")


def _server_problems(url: str, parsed: URL) -> Iterator[str]:
    """Yield what is wrong with the URL of a database server."""
    if not unquote(url).isprintable():
        yield f"contains a control character. {FORM}"
    if not HOST.fullmatch(parsed.host or "") and (parsed.host or not {"host", "unix_socket"} & parsed.query.keys()):
        yield f"names no valid host. {FORM}"
    ports = [str(parsed.port)] if parsed.port is not None else query_text(parsed, "port").split()
    if not all(PORT.fullmatch(port) and 1 <= int(port) <= MAX_PORT for port in ports):
        yield f"has an invalid port: it must be from 1 to {MAX_PORT}."
    if not parsed.database and not DATABASE_PARAMETERS & parsed.query.keys():
        yield f"names no database. {FORM}"
    if _backend(parsed) == "postgresql" and parsed.query.get("sslmode", "prefer") not in SSL_MODES:
        yield f"has an unknown sslmode. It must be one of {', '.join(SSL_MODES)}."


def parameter_problems(name: str, value: str, sslmode: str | None) -> Iterator[str]:
    """Yield what is wrong with the parameters of the database URL in the setting `name`, and with DB_SSLMODE."""
    url = make_url(value)
    backend = _backend(url)
    reserved = {**SET_BY_SERVICE.get(backend, {}), **NO_TEXT.get(backend, {})}
    accepted = _driver_parameters(backend)
    for parameter in url.query:
        if parameter in reserved and (parameter, url.query[parameter]) != ("charset", "utf8mb4"):
            yield f"{name} must not have the parameter {parameter}: {reserved[parameter]}."
        elif accepted and parameter not in accepted:
            yield f"{name} has the unknown parameter {parameter}: remove it."
    if backend == "postgresql":
        yield from _options_problems(name, url)
        if sslmode and url.query.get("sslmode", sslmode) != sslmode:
            yield f"DB_SSLMODE and the sslmode in {name} differ: keep one of them."
    elif sslmode:
        yield f"DB_SSLMODE is for PostgreSQL only: other databases take TLS options in {name}, like ?ssl_ca=FILE."


def query_text(url: URL, parameter: str) -> str:
    """Return a parameter of a URL; values of a parameter that occurs more than once are joined by spaces."""
    value: Any = url.query.get(parameter, "")
    return value if isinstance(value, str) else " ".join(value)


def database_system(url: str) -> str:
    """Return the kind of database of a valid URL: postgresql, mysql (also for MariaDB) or sqlite."""
    return _backend(make_url(url))


def _backend(url: URL) -> str:
    """Return the database whose driver the URL uses; MariaDB and MySQL share theirs."""
    backend = url.get_backend_name()
    return {"postgres": "postgresql", "mariadb": "mysql"}.get(backend, backend)


def _options_problems(name: str, url: URL) -> Iterator[str]:
    names = re.findall(r"(?:-c\s*|--)([A-Za-z0-9_.-]+)\s*=", query_text(url, "options"))
    for option in [option.lower().replace("-", "_") for option in names]:
        if option in OPTIONS_SET_BY_SERVICE:
            yield f"{name} must not set {option} in the parameter options: {OPTIONS_SET_BY_SERVICE[option]}."


def _driver_parameters(backend: str) -> set[str]:
    """Return the parameters that a URL may have; empty for a driver that ignores those that it does not know."""
    if backend == "postgresql":
        return {option.keyword.decode() for option in Conninfo.get_defaults()}
    return set(signature(MySQLConnection).parameters) if backend == "mysql" else set()
