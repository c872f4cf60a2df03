"""Counts of queries, slow queries and repeated queries; `test_repeated_queries.py` checks the routes of the service."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import exc
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from app import create_app
from app.accounts.models import User
from app.platform.api.rate_limits import no_rate_limit
from app.platform.database import query_profiler
from app.platform.database.base import db
from app.platform.security.access import public
from tests.scrapes import values_by_labels

THIS_FILE = "tests/platform/database/test_query_profiler.py"


class LibraryBase(DeclarativeBase):
    """Tables with a relationship; the service itself has none."""


class Shelf(LibraryBase):
    __tablename__ = "test_shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list[Book]] = relationship(back_populates="shelf")


class Book(LibraryBase):
    __tablename__ = "test_books"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(sa.ForeignKey("test_shelves.id"))
    shelf: Mapped[Shelf] = relationship(back_populates="books")


def load_lazily() -> str:
    shelves = db.session.scalars(sa.select(Shelf).order_by(Shelf.id))
    return str(sum(len(shelf.books) for shelf in shelves))


def query_in_a_loop() -> str:
    for number in range(6):
        db.session.execute(sa.select(User.id).where(User.id == number))
    return "done"


def query_once_then_in_a_loop() -> str:
    query = sa.select(User.id)
    db.session.execute(query)
    for _ in range(4):
        db.session.scalar(query)
    return "done"


def query_twice() -> str:
    db.session.execute(sa.select(User.id).where(User.id == 1))
    db.session.execute(sa.select(User.email).where(User.id == 1))
    return "done"


def query_slowly() -> str:
    db.session.execute(sa.select(sa.func.test_sleep(), sa.literal("a secret")))
    return "done"


def query_with_error() -> str:
    with pytest.raises(exc.DBAPIError):
        db.session.execute(sa.text("SELECT nothing FROM nowhere"))
    return "done"


VIEWS = (load_lazily, query_in_a_loop, query_once_then_in_a_loop, query_twice, query_slowly, query_with_error)


def add_views(app: Flask) -> None:
    for view in VIEWS:
        app.add_url_rule(f"/test/{view.__name__}", view_func=public("a test")(no_rate_limit("a test")(view)))


@pytest.fixture
def profiled_app(environment: Mapping[str, str], app: Flask) -> Iterator[Flask]:
    """The service with query profiling on."""
    settings = {"ENABLE_DB_PROFILING": "true", "DB_PROFILING_HEADERS": "true", "DB_SLOW_QUERY_SECONDS": "1"}
    profiled = create_app({**environment, **settings})
    add_views(profiled)
    with profiled.app_context():
        engine = db.engine
    LibraryBase.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Shelf(id=number, books=[Book(), Book()]) for number in range(1, 4)])
        session.commit()
    yield profiled
    LibraryBase.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def profiled_client(profiled_app: Flask) -> FlaskClient:
    return profiled_app.test_client()


def records(caplog: pytest.LogCaptureFixture, message: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.message == message]


def line_of(view: Callable[[], str], text: str) -> str:
    lines, first = inspect.getsourcelines(view)
    (number,) = (first + offset for offset, line in enumerate(lines) if text in line)
    return f"{THIS_FILE}:{number} in {view.__name__}"


@pytest.mark.req("O6")
def test_logs_lazy_loads_with_attribute_and_location(
    profiled_client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = profiled_client.get("/test/load_lazily")

    (record,) = records(caplog, "repeated query")
    assert response.text == "6"
    assert vars(record)["place"].startswith(line_of(load_lazily, "shelf.books").split(" in ")[0])
    assert vars(record)["loads"] == "Shelf.books"
    assert vars(record)["times"] == 3
    assert vars(record)["route"] == "/test/load_lazily"
    assert "FROM test_books" in vars(record)["statement"]


@pytest.mark.req("O6")
def test_logs_repeated_queries_with_location(profiled_client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    labels = (("endpoint", "/test/query_in_a_loop"),)
    before = values_by_labels(profiled_client, "db_repeated_queries_total").get(labels, 0)

    profiled_client.get("/test/query_in_a_loop")

    (record,) = records(caplog, "repeated query")
    assert vars(record)["place"] == line_of(query_in_a_loop, "db.session.execute")
    assert vars(record)["times"] == 6
    assert values_by_labels(profiled_client, "db_repeated_queries_total")[labels] - before == 1


@pytest.mark.req("O6")
def test_first_query_counts_for_the_location_of_its_repetition(
    profiled_client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    profiled_client.get("/test/query_once_then_in_a_loop")

    (record,) = records(caplog, "repeated query")
    assert vars(record)["place"] == line_of(query_once_then_in_a_loop, "scalar")
    assert vars(record)["times"] == 5


@pytest.mark.req("O6")
def test_few_queries_are_not_logged(profiled_client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    profiled_client.get("/test/query_twice")

    assert not records(caplog, "repeated query")
    assert not records(caplog, "slow query")


@pytest.mark.req("O6")
def test_counts_queries_per_request(profiled_client: FlaskClient) -> None:
    labels = (("endpoint", "/test/query_in_a_loop"), ("method", "GET"))
    names = ("db_queries_per_request_count", "db_queries_per_request_sum")
    before = [values_by_labels(profiled_client, name).get(labels, 0) for name in names]

    responses = [profiled_client.get("/test/query_in_a_loop") for _ in range(2)]

    after = [values_by_labels(profiled_client, name)[labels] for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 12]
    assert [response.headers["X-DB-Query-Count"] for response in responses] == ["6", "6"]
    assert 0 < float(responses[0].headers["X-DB-Total-Time-Ms"]) < 10_000
    assert profiled_client.get("/health").headers["X-DB-Query-Count"] == "0"


@pytest.mark.req("O6", "S12")
def test_logs_slow_queries_without_parameters(
    profiled_app: Flask, profiled_client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    add_sleep_function(profiled_app, 1.1)
    before = values_by_labels(profiled_client, "db_slow_queries_total")[()]

    profiled_client.get("/test/query_slowly")

    (record,) = records(caplog, "slow query")
    assert vars(record)["place"] == line_of(query_slowly, "test_sleep")
    assert vars(record)["duration_ms"] >= 1100
    assert "test_sleep()" in vars(record)["statement"]
    assert "a secret" not in str(vars(record))
    assert values_by_labels(profiled_client, "db_slow_queries_total")[()] - before == 1


def add_sleep_function(app: Flask, seconds: float) -> None:
    """Add a slow function to the database."""
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        sa.event.listen(
            engine, "checkout", lambda raw, *_: raw.create_function("test_sleep", 0, lambda: time.sleep(seconds))
        )
        return
    postgresql = f"RETURNS text LANGUAGE sql VOLATILE AS 'SELECT pg_sleep({seconds})::text'"
    body = postgresql if engine.dialect.name == "postgresql" else f"RETURNS int RETURN SLEEP({seconds})"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE OR REPLACE FUNCTION test_sleep() {body}"))


@pytest.mark.req("O6")
def test_counts_failed_queries(profiled_client: FlaskClient) -> None:
    assert profiled_client.get("/test/query_with_error").headers["X-DB-Query-Count"] == "1"


@pytest.mark.req("O6")
def test_query_from_library_code_is_located_at_the_view(profiled_client: FlaskClient, profiled_app: Flask) -> None:
    with profiled_app.test_request_context("/test/query_with_error"):
        location = str(query_profiler._view_location())

    line = inspect.getsourcelines(query_with_error)[1]
    assert location.startswith(f"{THIS_FILE}:{line} in query_with_error")


@pytest.mark.req("O6")
def test_headers_are_off_by_default(environment: Mapping[str, str]) -> None:
    app = create_app({**environment, "ENABLE_DB_PROFILING": "true"})

    response = app.test_client().get("/health")

    assert not [name for name, _ in response.headers if name.startswith("X-DB")]


@pytest.mark.req("O6")
def test_nothing_is_installed_when_off(environment: Mapping[str, str]) -> None:
    off = create_app({**environment, "DB_PROFILING_HEADERS": "true"})
    installed = [function.__module__ for functions in off.before_request_funcs.values() for function in functions]
    with off.app_context():
        listeners = [*db.engine.dialect.dispatch.do_execute, *db.engine.dialect.dispatch.do_executemany]

    assert query_profiler.__name__ not in installed
    assert not listeners
    assert not off.test_client().get("/health").headers.get("X-DB-Query-Count")
