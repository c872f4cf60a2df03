"""Queries per request, slow ones, repeated ones; `test_repetition.py` shows that the service has none of these."""

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
from app.database import db
from app.limits import unlimited
from app.observability import query_profiler
from app.security.access import public
from tests.observability.test_metrics import samples

THIS = "tests/observability/test_query_profiler.py"


class Planted(DeclarativeBase):
    """Tables that the service does not have, since it has no relationships to load lazily."""


class Shelf(Planted):
    __tablename__ = "planted_shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list[Book]] = relationship(back_populates="shelf")


class Book(Planted):
    __tablename__ = "planted_books"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(sa.ForeignKey("planted_shelves.id"))
    shelf: Mapped[Shelf] = relationship(back_populates="books")


def look_into_every_shelf() -> str:
    shelves = db.session.scalars(sa.select(Shelf).order_by(Shelf.id))
    return str(sum(len(shelf.books) for shelf in shelves))


def ask_for_every_user() -> str:
    for number in range(6):
        db.session.execute(sa.select(User.id).where(User.id == number))
    return "asked"


def ask_once_and_again() -> str:
    question = sa.select(User.id)
    db.session.execute(question)
    for _ in range(4):
        db.session.scalar(question)
    return "asked"


def ask_a_few_things() -> str:
    db.session.execute(sa.select(User.id).where(User.id == 1))
    db.session.execute(sa.select(User.email).where(User.id == 1))
    return "asked"


def take_long() -> str:
    db.session.execute(sa.select(sa.func.planted_sleep(), sa.literal("a secret")))
    return "done"


def fail() -> str:
    with pytest.raises(exc.DBAPIError):
        db.session.execute(sa.text("SELECT nothing FROM nowhere"))
    return "failed"


VIEWS = (look_into_every_shelf, ask_for_every_user, ask_once_and_again, ask_a_few_things, take_long, fail)


def plant(app: Flask) -> None:
    """Routes that ask the database for too much."""
    for view in VIEWS:
        app.add_url_rule(f"/planted/{view.__name__}", view_func=public("planted")(unlimited("planted")(view)))


@pytest.fixture
def service(environment: Mapping[str, str], app: Flask) -> Iterator[Flask]:
    """The service, profiled."""
    settings = {"ENABLE_DB_PROFILING": "true", "DB_PROFILING_HEADERS": "true", "DB_SLOW_QUERY_SECONDS": "0.1"}
    profiled = create_app({**environment, **settings})
    plant(profiled)
    with profiled.app_context():
        engine = db.engine
    Planted.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Shelf(id=number, books=[Book(), Book()]) for number in range(1, 4)])
        session.commit()
    yield profiled
    Planted.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def profiled(service: Flask) -> FlaskClient:
    return service.test_client()


def told(caplog: pytest.LogCaptureFixture, message: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.message == message]


def line_of(view: Callable[[], str], text: str) -> str:
    lines, first = inspect.getsourcelines(view)
    (number,) = (first + offset for offset, line in enumerate(lines) if text in line)
    return f"{THIS}:{number} in {view.__name__}"


@pytest.mark.req("O6")
def test_objects_that_are_loaded_one_by_one_are_named_with_their_place(
    profiled: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = profiled.get("/planted/look_into_every_shelf")

    (record,) = told(caplog, "repeated query")
    assert answer.text == "6"
    assert vars(record)["place"].startswith(line_of(look_into_every_shelf, "shelf.books").split(" in ")[0])
    assert vars(record)["loads"] == "Shelf.books"
    assert vars(record)["times"] == 3
    assert vars(record)["route"] == "/planted/look_into_every_shelf"
    assert "FROM planted_books" in vars(record)["statement"]


@pytest.mark.req("O6")
def test_a_statement_in_a_loop_is_named_with_its_place(profiled: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    labels = (("endpoint", "/planted/ask_for_every_user"),)
    before = samples(profiled, "db_repeated_queries_total").get(labels, 0)

    profiled.get("/planted/ask_for_every_user")

    (record,) = told(caplog, "repeated query")
    assert vars(record)["place"] == line_of(ask_for_every_user, "db.session.execute")
    assert vars(record)["times"] == 6
    assert samples(profiled, "db_repeated_queries_total")[labels] - before == 1


@pytest.mark.req("O6")
def test_the_first_time_counts_for_the_place_that_asks_again(
    profiled: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    profiled.get("/planted/ask_once_and_again")

    (record,) = told(caplog, "repeated query")
    assert vars(record)["place"] == line_of(ask_once_and_again, "scalar")
    assert vars(record)["times"] == 5


@pytest.mark.req("O6")
def test_a_few_statements_are_no_repetition(profiled: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    profiled.get("/planted/ask_a_few_things")

    assert not told(caplog, "repeated query")
    assert not told(caplog, "slow query")


@pytest.mark.req("O6")
def test_queries_are_counted_per_request(profiled: FlaskClient) -> None:
    labels = (("endpoint", "/planted/ask_for_every_user"), ("method", "GET"))
    counted = ("db_queries_per_request_count", "db_queries_per_request_sum")
    before = [samples(profiled, name).get(labels, 0) for name in counted]

    answers = [profiled.get("/planted/ask_for_every_user") for _ in range(2)]

    after = [samples(profiled, name)[labels] for name in counted]
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 12]
    assert [answer.headers["X-DB-Query-Count"] for answer in answers] == ["6", "6"]
    assert 0 < float(answers[0].headers["X-DB-Total-Time-Ms"]) < 10_000
    assert profiled.get("/health").headers["X-DB-Query-Count"] == "0"


@pytest.mark.req("O6", "S12")
def test_a_slow_query_is_logged_with_its_place_and_without_its_values(
    service: Flask, profiled: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    teach_to_sleep(service, 0.15)
    before = samples(profiled, "db_slow_queries_total")[()]

    profiled.get("/planted/take_long")

    (record,) = told(caplog, "slow query")
    assert vars(record)["place"] == line_of(take_long, "planted_sleep")
    assert vars(record)["duration_ms"] >= 150
    assert "planted_sleep()" in vars(record)["statement"]
    assert "a secret" not in str(vars(record))
    assert samples(profiled, "db_slow_queries_total")[()] - before == 1


def teach_to_sleep(app: Flask, seconds: float) -> None:
    """Give the database a function that takes its time."""
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        sa.event.listen(
            engine, "checkout", lambda raw, *_: raw.create_function("planted_sleep", 0, lambda: time.sleep(seconds))
        )
        return
    postgresql = f"RETURNS text LANGUAGE sql VOLATILE AS 'SELECT pg_sleep({seconds})::text'"
    body = postgresql if engine.dialect.name == "postgresql" else f"RETURNS int RETURN SLEEP({seconds})"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE OR REPLACE FUNCTION planted_sleep() {body}"))


@pytest.mark.req("O6")
def test_a_query_that_fails_is_counted_too(profiled: FlaskClient) -> None:
    assert profiled.get("/planted/fail").headers["X-DB-Query-Count"] == "1"


@pytest.mark.req("O6")
def test_a_statement_sent_from_library_code_is_placed_at_the_view(profiled: FlaskClient, service: Flask) -> None:
    with service.test_request_context("/planted/fail"):
        named = str(query_profiler._place_of_view())

    assert named.startswith(f"{THIS}:{inspect.getsourcelines(fail)[1]} in fail")


@pytest.mark.req("O6")
def test_headers_are_sent_only_where_they_are_wanted(environment: Mapping[str, str]) -> None:
    quiet = create_app({**environment, "ENABLE_DB_PROFILING": "true"})

    answer = quiet.test_client().get("/health")

    assert not [name for name, _ in answer.headers if name.startswith("X-DB")]


@pytest.mark.req("O6")
def test_off_means_not_installed(environment: Mapping[str, str]) -> None:
    off = create_app({**environment, "DB_PROFILING_HEADERS": "true"})
    installed = [function.__module__ for functions in off.before_request_funcs.values() for function in functions]
    with off.app_context():
        listeners = [*db.engine.dialect.dispatch.do_execute, *db.engine.dialect.dispatch.do_executemany]

    assert query_profiler.__name__ not in installed
    assert not listeners
    assert not off.test_client().get("/health").headers.get("X-DB-Query-Count")
