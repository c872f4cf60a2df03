"""Counts the queries of each request, and logs slow and repeated ones (`ENABLE_DB_PROFILING`).

While profiling is off, nothing is installed. Statements are logged without their parameters.
"""

from __future__ import annotations

import inspect
import logging
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import Flask, Response, current_app, has_request_context, request
from prometheus_client import Counter, Histogram

from app.platform.database.base import db
from app.platform.database.statement_hooks import Execute, wrap
from app.platform.settings.declarations import settings_of
from app.platform.web.request_state import current_request

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
SOURCE_PREFIX = f"{ROOT}/"
EXCLUDED_PATHS = ("/site-packages/", "/app/platform/database/", "/app/platform/api/blueprints.py")
MAX_STATEMENT_LENGTH = 2000  # logged characters of a statement
# From this many on, a statement counts as repeated (n + 1 queries). Lazy loads have the lower threshold: code that
# sends a statement itself may have reason to send it a few times.
REPEATS, LAZY_REPEATS = 5, 2

QUERIES = Histogram(
    "db_queries_per_request",
    "Statements per request, of the requests that sent any",
    ["method", "endpoint"],
    buckets=(1, 2, 3, 5, 8, 13, 21, 34, 55, 100),
)
SLOW = Counter("db_slow_queries_total", "Statements that took at least DB_SLOW_QUERY_SECONDS")
REPEATED = Counter(
    "db_repeated_queries_total", "Statements that one request repeated from one line of code", ["endpoint"]
)


class SourceLocation(NamedTuple):
    """A line of the service's code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file.removeprefix(SOURCE_PREFIX)}:{self.line} in {self.function}"


class Query(NamedTuple):
    """A statement, the line of code that sent it, and for a lazy load the attribute that it loads."""

    statement: str
    location: SourceLocation
    lazy_load: str

    def is_repeated(self, times: int) -> bool:
        """Whether a query that a request sent this many times is an n + 1 query."""
        return times >= (LAZY_REPEATS if self.lazy_load else REPEATS)


@dataclass(slots=True)
class Profile:
    """The statements of one request.

    The location is determined only when a statement is sent again, which is rare. The first execution then counts for
    that location too.
    """

    count: int = 0
    seconds: float = 0.0
    statements: set[str] = field(default_factory=set)
    repeated: dict[Query, int] = field(default_factory=dict)  # executions in total

    def add(self, statement: str, context: Any, seconds: float) -> None:
        """Count a statement."""
        self.count += 1
        self.seconds += seconds
        if statement in self.statements:
            query = Query(statement, calling_location(), lazy_loaded_attribute(context))
            self.repeated[query] = self.repeated.get(query, 1) + 1
        self.statements.add(statement)


# Of the current request, if it has sent a statement. Not in `g`: access to it takes six times as long.
_profile: ContextVar[Profile | None] = ContextVar("query_profile", default=None)


def init_app(app: Flask) -> None:
    """Profile the queries of the app if `ENABLE_DB_PROFILING` is on."""
    settings = settings_of(app)
    if not settings.ENABLE_DB_PROFILING:
        return
    with app.app_context():
        instrument_engine(db.engine, settings.DB_SLOW_QUERY_SECONDS)
    app.teardown_request(_finish_request)
    if settings.DB_PROFILING_HEADERS:
        app.after_request(_add_headers)


def instrument_engine(engine: sa.Engine, slow: float) -> None:
    """Time every statement; log those of at least `slow` seconds, failed ones included."""

    def timed(execute: Execute) -> Execute:
        def run(cursor: object, statement: str, *rest: Any) -> None:
            started = time.perf_counter()
            try:
                execute(cursor, statement, *rest)
            finally:
                _record_query(statement, rest[-1], time.perf_counter() - started, slow)

        return run

    wrap(engine, timed)


def _record_query(statement: str, context: Any, seconds: float, slow: float) -> None:
    profile = _profile.get()
    if profile is None and has_request_context():
        profile = Profile()
        _profile.set(profile)
    if profile:
        profile.add(statement, context, seconds)
    if seconds >= slow:
        SLOW.inc()
        fields = _log_fields(Query(statement, calling_location(), lazy_loaded_attribute(context)))
        logger.warning("slow query", extra={"duration_ms": round(seconds * 1000, 1), **fields})


def calling_location() -> SourceLocation:
    """Return the innermost line of the service's code on the stack; the view if there is none."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.currentframe() is
    while frame and frame.f_code is not Flask.wsgi_app.__code__:
        if _is_service_code(frame.f_code.co_filename):
            return SourceLocation(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
    return _view_location()


@cache  # one entry for each module; nosemgrep: unbounded-cache
def _is_service_code(file: str) -> bool:
    return file.startswith(SOURCE_PREFIX) and not any(path in file for path in EXCLUDED_PATHS)


def _view_location() -> SourceLocation:
    """Return the first line of the view: its result may be serialised, and load attributes, after it returned."""
    if not request or not request.endpoint:
        return SourceLocation("unknown", 0, "unknown")
    code = inspect.unwrap(current_app.view_functions[request.endpoint]).__code__
    return SourceLocation(code.co_filename, code.co_firstlineno, f"{code.co_name}, or the serialisation of its result")


def lazy_loaded_attribute(context: Any) -> str:
    """Return the attribute of a single object that a statement loads, such as `Order.lines`; otherwise "".

    It is read from SQLAlchemy's private state: a listener of `do_orm_execute`, the documented way, costs every
    statement of the ORM 5 % of its time. The tests of lazy loads fail if SQLAlchemy moves it.
    """
    options = context.execution_options.get("_sa_orm_load_options") if context else None
    owner = options._lazy_loaded_from if options else None  # noqa: SLF001
    if owner is None:
        return ""
    attribute = context.compiled.compile_state.current_path[-1]
    return f"{owner.class_.__name__}.{attribute.key}"


def _add_headers(response: Response) -> Response:
    profile = _profile.get() or Profile()
    response.headers["X-DB-Query-Count"] = str(profile.count)
    response.headers["X-DB-Total-Time-Ms"] = f"{profile.seconds * 1000:.1f}"
    return response


def _finish_request(_error: BaseException | None) -> None:
    profile = _profile.get()
    if profile is None:
        return
    _profile.set(None)
    current = current_request()
    # An invented method matches no rule, so it cannot become a label.
    method, rule = (current.method, current.url_rule.rule) if current.url_rule else ("OTHER", "unmatched")
    _queries(method, rule).observe(profile.count)
    for query, times in profile.repeated.items():
        if query.is_repeated(times):
            REPEATED.labels(rule).inc()
            logger.warning("repeated query", extra={"route": rule, "times": times, **_log_fields(query)})


@cache  # one entry for each method and route; nosemgrep: unbounded-cache
def _queries(method: str, rule: str) -> Histogram:
    return QUERIES.labels(method, rule)


def _log_fields(query: Query) -> dict[str, str]:
    statement = " ".join(query.statement.split())[:MAX_STATEMENT_LENGTH]
    fields = {"statement": statement, "place": str(query.location)}
    return fields | ({"loads": query.lazy_load} if query.lazy_load else {})
