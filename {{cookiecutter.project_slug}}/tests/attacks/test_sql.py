"""SQL in input is treated as text: no error, no additional rows, and every table still exists."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from app.platform.database.base import db
from tests.attacks.conftest import Attacker, bodies_with

TEXTS = [
    "'; DROP TABLE users; --",
    "' OR 1=1 --",
    '" OR ""="',
    "1); DELETE FROM users; --",
    "%",
    "_",
    "\\",
    "'",
    "%s%(x)s:x{0}$1",
    "\x00",
    "a\x00b",
    "\U0001f600\u202e",
    "x" * 10_000,
]


@pytest.fixture(autouse=True)
def _every_table_still_exists(attacker: Attacker) -> Iterator[None]:
    yield
    with attacker.app.app_context():
        assert set(sa.inspect(db.engine).get_table_names()) >= {table.name for table in db.metadata.sorted_tables}


@pytest.mark.req("A2", "A6")
def test_sql_in_paths_is_not_found(attacker: Attacker) -> None:
    with_variables = [route for route in attacker.routes() if "<" in route.rule.rule]

    responses = {
        (str(route), text): attacker.open(route, quote(text, safe=""), credentials={}).status_code
        for route in with_variables
        for text in TEXTS
    }

    assert responses
    assert {key: status for key, status in responses.items() if status != 404} == {}


@pytest.mark.req("A2", "A6")
def test_sql_in_queries_returns_no_rows(attacker: Attacker) -> None:
    for route in attacker.routes("query"):
        credentials = attacker.credentials(route)
        for name in route.schemas["query"].fields:
            for text in TEXTS:
                response = attacker.open(route, query_string={name: text}, credentials=credentials)

                assert response.status_code in (200, 422), (route, name, text)
                assert response.status_code == 422 or response.get_json()["items"] == [], (route, name, text)


@pytest.mark.req("A2", "A6")
def test_sql_in_bodies_causes_no_error(attacker: Attacker) -> None:
    users = len(attacker.rows()["users"])
    tried = 0
    for route in attacker.routes("json"):
        for text in TEXTS:
            for body in bodies_with(attacker.example_body(route), text):
                response = attacker.open(route, json=body)
                tried += 1

                assert response.status_code < 500, (route, body, response.text)

    assert tried > 100
    assert len(attacker.rows()["users"]) >= users


@pytest.mark.req("A2", "A6")
def test_sql_in_files_and_their_names_causes_no_error(attacker: Attacker) -> None:
    for route in attacker.routes("files"):
        for text in TEXTS:
            for name, content in ((f"{text}.csv", "a\n1\n"), ("a.csv", f"{text}\n{text}\n")):
                response = attacker.upload(route, name, content.encode())

                assert response.status_code in (201, 413, 415, 422), (route, text, response.text)


@pytest.mark.req("A2", "A6")
def test_sql_in_names_is_rejected(attacker: Attacker) -> None:
    for route in attacker.routes():
        credentials = attacker.credentials(route)
        for text in TEXTS:
            response = attacker.open(route, query_string={text: "1"}, credentials=credentials)
            in_body = (
                attacker.open(route, json={text: 1}, credentials=credentials) if "json" in route.schemas else response
            )

            assert response.status_code == 422, (route, text)
            assert in_body.status_code == 422, (route, text)
