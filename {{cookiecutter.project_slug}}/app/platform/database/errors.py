"""What an error of the database means: whose fault it is, whether to repeat, whether to keep the connection.

The error code of the server decides, not the class of the driver's exception: drivers raise the same class for a
missing column and for a server that shuts down.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import sqlalchemy as sa
from flask import Flask, Response
from sqlalchemy import exc
from sqlalchemy.orm.exc import StaleDataError

from app.platform.web.problem_types import RESOURCE_DELETED
from app.platform.web.problems import Problem, http_error_response, retry_later_response, unexpected_error_response

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ErrorClass:
    """How the service handles a class of database errors; 503 includes `Retry-After`."""

    name: str
    status: HTTPStatus
    connection_usable: bool = True


BUG = ErrorClass("bug", HTTPStatus.INTERNAL_SERVER_ERROR)
BUSY = ErrorClass("busy", HTTPStatus.SERVICE_UNAVAILABLE)
# A new connection may reach a server that works: after a restart, a failover, or a change of the server's settings.
UNAVAILABLE = ErrorClass("unavailable", HTTPStatus.SERVICE_UNAVAILABLE, connection_usable=False)
# The database rejects a reference to a deleted row. Requests check that a row exists; another transaction deleted it.
ROW_DELETED = ErrorClass("row deleted", HTTPStatus.CONFLICT)

# By SQLSTATE, or its first two or three characters (https://www.postgresql.org/docs/current/errcodes-appendix.html).
# Codes that are not listed are bugs: invalid SQL, missing tables and columns (42), values that do not fit (22).
POSTGRESQL: Mapping[str, ErrorClass] = {
    "08": UNAVAILABLE,  # the connection failed; PgBouncer reports its own errors as 08P01
    "23503": ROW_DELETED,
    "25006": UNAVAILABLE,  # read-only: a standby, or a setting that connections keep until they end
    "25P03": UNAVAILABLE,  # the transaction was idle for too long; the server has closed the connection
    "25P04": UNAVAILABLE,  # the transaction took too long; the server has closed the connection
    "28": UNAVAILABLE,  # the server rejects the user or the password
    "3D": UNAVAILABLE,  # the database does not exist
    "40": BUSY,  # deadlock, serialization failure
    "53": BUSY,  # disk full, out of memory, too many connections
    "55P03": BUSY,  # lock timeout
    "57014": BUSY,  # statement timeout
    "57P": UNAVAILABLE,  # the server starts, shuts down or crashed
    "58": BUSY,  # the server cannot read or write its files
}
CONFLICTS = ("40001", "40P01", 1020, 1213)  # serialization failure, deadlock; row changed, deadlock of MariaDB
PRIVILEGE_MISSING = "42501"
# Of a database, table, column, the server, a routine, a user, and for triggers.
MYSQL_PRIVILEGE_MISSING = (1044, 1142, 1143, 1227, 1370, 1410, 1419)
# By error number (https://mariadb.com/docs/server/reference/error-codes).
MYSQL: Mapping[int, ErrorClass] = {
    **dict.fromkeys((1021, 1037, 1038, 1041, 1114), BUSY),  # disk full, out of memory, table full
    **dict.fromkeys((1020, 1205, 1213, 1412, 3572), BUSY),  # row changed, lock timeout, deadlock, altered table, NOWAIT
    **dict.fromkeys((1317, 1969, 3024), BUSY),  # interrupted, statement timeout of MariaDB and of MySQL
    **dict.fromkeys((1040, 1203, 1226), UNAVAILABLE),  # too many connections
    **dict.fromkeys((1044, 1045, 1049), UNAVAILABLE),  # the server rejects the user; the database does not exist
    **dict.fromkeys((1290, 1792, 1836), UNAVAILABLE),  # read-only
    **dict.fromkeys((1053, 1080, 1152, 1184, 1927, 4031), UNAVAILABLE),  # the server shuts down or ends the connection
    **dict.fromkeys(range(1156, 1162), UNAVAILABLE),  # packets of the connection were lost
    **dict.fromkeys((2002, 2003, 2006, 2013, 2014, 2027, 2055), UNAVAILABLE),  # the connection failed
    **dict.fromkeys((1216, 1452), ROW_DELETED),
}
# By name (https://www.sqlite.org/rescode.html), or the beginning of the name.
SQLITE: Mapping[str, ErrorClass] = {
    "SQLITE_BUSY": BUSY,
    "SQLITE_LOCKED": BUSY,
    "SQLITE_FULL": BUSY,
    "SQLITE_NOMEM": BUSY,
    "SQLITE_READONLY": UNAVAILABLE,
    "SQLITE_IOERR": UNAVAILABLE,
    "SQLITE_CANTOPEN": UNAVAILABLE,
    "SQLITE_PROTOCOL": UNAVAILABLE,
    "SQLITE_CONSTRAINT_FOREIGNKEY": ROW_DELETED,
}


def classify(error: BaseException) -> ErrorClass:
    """Return the class of an error that SQLAlchemy raised."""
    match error:
        case exc.TimeoutError():  # no connection of the pool became free
            return BUSY
        case StaleDataError():  # an UPDATE or DELETE of a row that another transaction deleted
            return ROW_DELETED
        case exc.DBAPIError(orig=BaseException() as original):
            without_code = UNAVAILABLE if isinstance(error, (exc.OperationalError, exc.InterfaceError)) else BUG
            return _by_code(original, without_code)
        case _:
            return BUG


def is_refused(error: BaseException) -> bool:
    """Whether the account of the connection lacks a privilege for the statement."""
    return _has_code(error, (PRIVILEGE_MISSING, *MYSQL_PRIVILEGE_MISSING))


def is_conflict(error: BaseException) -> bool:
    """Whether the database rolled the transaction back because of a concurrent one: repeated, it may succeed."""
    return _has_code(error, CONFLICTS)


def _has_code(error: BaseException, codes: tuple[str | int, ...]) -> bool:
    """Whether the driver's error has one of these values of SQLSTATE or error numbers of MariaDB and MySQL."""
    original = getattr(error, "orig", None)
    number = original.args[0] if original and original.args else None
    return getattr(original, "sqlstate", None) in codes or number in codes


def _by_code(error: BaseException, without_code: ErrorClass) -> ErrorClass:
    """Look up the code of a driver's exception; a driver reports a lost connection without a code."""
    number = error.args[0] if error.args else None
    if isinstance(number, int) and number:  # before SQLSTATE, which MySQL has too, for fewer errors
        return MYSQL.get(number, BUG)
    if state := getattr(error, "sqlstate", None):
        return next((POSTGRESQL[state[:n]] for n in (5, 3, 2) if state[:n] in POSTGRESQL), BUG)
    if name := getattr(error, "sqlite_errorname", None):
        return next((found for prefix, found in SQLITE.items() if name.startswith(prefix)), BUG)
    return without_code


def init_app(app: Flask) -> None:
    """Return a problem response for every error of the database."""
    app.register_error_handler(exc.SQLAlchemyError, error_response)


def drop_unusable_connections(engine: sa.Engine) -> None:
    """Drop a connection after an error that makes it unusable, and replace all others of the pool before their use."""
    sa.event.listen(engine, "handle_error", _mark_unusable)


def _mark_unusable(context: sa.ExceptionContext) -> None:
    if context.sqlalchemy_exception and not classify(context.sqlalchemy_exception).connection_usable:
        context.is_disconnect = True


def error_response(error: Exception) -> Response:
    """Return the problem of an error of the database."""
    error_class = classify(error)
    if error_class is BUG:
        return unexpected_error_response(error)
    if error_class is ROW_DELETED:
        logger.warning("a row was deleted during the request: %s", error)
        message = "Something that the request refers to was deleted in the meantime. Read it again before you retry."
        return http_error_response(Problem(RESOURCE_DELETED, message))
    logger.error("database %s: %s", error_class.name, error)
    return retry_later_response()
