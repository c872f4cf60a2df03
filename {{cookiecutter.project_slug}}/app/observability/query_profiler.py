"""What requests ask of the database: how much, how slowly, and what they ask again and again (`ENABLE_DB_PROFILING`).

While it is off nothing is installed, and nothing costs anything. Statements are told without their parameters.
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
from sqlalchemy.orm import ORMExecuteState

from app.database import db
from app.framework import asked
from app.observability.statements import Execute, wrap
from app.settings import settings_of

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
OURS, NOT_OURS = f"{ROOT}/", ("/site-packages/", "/app/observability/", "/app/api.py")
LONGEST_STATEMENT = 2000  # characters of it that are logged
# So often is more than chance. Objects that are loaded one by one, because another one's attribute was looked at, show
# it sooner than statements of somebody's own, of which a request may well send the same one a few times.
REPEATS, LAZY_REPEATS = 5, 2
LAZILY = "lazily_loads"  # an execution option

QUERIES = Histogram(
    "db_queries_per_request",
    "Statements that a request sent to the database, if it sent any",
    ["method", "endpoint"],
    buckets=(1, 2, 3, 5, 8, 13, 21, 34, 55, 100),
)
SLOW = Counter("db_slow_queries_total", "Statements that took DB_SLOW_QUERY_SECONDS or longer")
REPEATED = Counter(
    "db_repeated_queries_total", "Requests that sent a statement again and again from one place", ["endpoint"]
)


class Place(NamedTuple):
    """A line of the service's own code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file.removeprefix(OURS)}:{self.line} in {self.function}"


class Query(NamedTuple):
    """A statement, the place in the code that sent it, and the attribute whose looking at did, if one did."""

    statement: str
    place: Place
    lazily: str

    def is_repeated(self, times: int) -> bool:
        """Whether that often is too often: n + 1 statements where one or two would do."""
        return times >= (LAZY_REPEATS if self.lazily else REPEATS)


@dataclass(slots=True)
class Profile:
    """The statements of one request.

    The place that sent a statement is only looked for when that is sent again, which most are not. The first time then
    counts as if it had been sent from there too.
    """

    count: int = 0
    seconds: float = 0.0
    sent: set[str] = field(default_factory=set)
    again: dict[Query, int] = field(default_factory=dict)  # how often in all

    def add(self, statement: str, lazily: str, seconds: float) -> None:
        """Count a statement."""
        self.count += 1
        self.seconds += seconds
        if lazily or statement in self.sent:
            query = Query(statement, place(), lazily)
            self.again[query] = self.again.get(query, 0 if lazily else 1) + 1
        self.sent.add(statement)


# Of the request that is being answered, if it has sent a statement. Not in `g`, which takes six times as long to reach.
_profile: ContextVar[Profile | None] = ContextVar("query_profile", default=None)


def init_app(app: Flask) -> None:
    """Profile the app's queries, if that is wanted."""
    settings = settings_of(app)
    if not settings.ENABLE_DB_PROFILING:
        return
    with app.app_context():
        watch(db.engine, settings.DB_SLOW_QUERY_SECONDS)
    sa.event.listen(db.session, "do_orm_execute", _name_lazy_load)
    app.teardown_request(_end)
    if settings.DB_PROFILING_HEADERS:
        app.after_request(_tell)


def watch(engine: sa.Engine, slow: float) -> None:
    """Take the time of every statement; those of `slow` seconds or more are logged, also if they fail."""

    def timed(execute: Execute) -> Execute:
        def run(cursor: object, statement: str, *rest: Any) -> None:
            began = time.perf_counter()
            try:
                execute(cursor, statement, *rest)
            finally:
                _note(statement, rest[-1], time.perf_counter() - began, slow)

        return run

    wrap(engine, timed)


def _note(statement: str, context: Any, seconds: float, slow: float) -> None:
    lazily = context.execution_options.get(LAZILY, "") if context else ""
    profile = _profile.get()
    if profile is None and has_request_context():
        profile = Profile()
        _profile.set(profile)
    if profile:
        profile.add(statement, lazily, seconds)
    if seconds >= slow:
        SLOW.inc()
        told = _described(Query(statement, place(), lazily))
        logger.warning("slow query", extra={"duration_ms": round(seconds * 1000, 1), **told})


def place() -> Place:
    """The line of the service's own code that is at work, as far in as there is any."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.currentframe() is
    while frame and frame.f_code is not Flask.wsgi_app.__code__:
        if _is_ours(frame.f_code.co_filename):
            return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
    return _place_of_view()


@cache
def _is_ours(file: str) -> bool:
    return file.startswith(OURS) and not any(part in file for part in NOT_OURS)


def _place_of_view() -> Place:
    """Where the view of this request begins: what it returned may be looked at after it."""
    if not request or not request.endpoint:
        return Place("unknown", 0, "unknown")
    code = inspect.unwrap(current_app.view_functions[request.endpoint]).__code__
    return Place(code.co_filename, code.co_firstlineno, f"{code.co_name}, or in what answers with it")


def _name_lazy_load(state: ORMExecuteState) -> None:
    """Say of a statement whose attribute it loads, if it loads that for one object alone."""
    owner = state.lazy_loaded_from if state.is_relationship_load else None
    if owner is not None:
        attribute = getattr(state.loader_strategy_path[-1], "key", "") if state.loader_strategy_path else ""
        state.update_execution_options(**{LAZILY: f"{owner.class_.__name__}.{attribute}"})


def _tell(response: Response) -> Response:
    profile = _profile.get() or Profile()
    response.headers["X-DB-Query-Count"] = str(profile.count)
    response.headers["X-DB-Total-Time-Ms"] = f"{profile.seconds * 1000:.1f}"
    return response


def _end(_error: BaseException | None) -> None:
    profile = _profile.get()
    if profile is None:
        return
    _profile.set(None)
    it = asked()
    # A method that callers made up matches no rule.
    method, rule = (it.method, it.url_rule.rule) if it.url_rule else ("OTHER", "unmatched")
    _queries(method, rule).observe(profile.count)
    for query, times in profile.again.items():
        if query.is_repeated(times):
            REPEATED.labels(rule).inc()
            logger.warning("repeated query", extra={"route": rule, "times": times, **_described(query)})


@cache
def _queries(method: str, rule: str) -> Histogram:
    return QUERIES.labels(method, rule)


def _described(query: Query) -> dict[str, str]:
    told = {"statement": " ".join(query.statement.split())[:LONGEST_STATEMENT], "place": str(query.place)}
    return told | ({"loads": query.lazily} if query.lazily else {})
