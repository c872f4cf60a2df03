"""SQL in a text is a text: nothing breaks, nothing more is shown, and every table is still there."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from app.database import db
from tests.attacks.conftest import Attacker, planted

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
def _every_table_is_still_there(attacker: Attacker) -> Any:
    yield
    with attacker.app.app_context():
        assert set(sa.inspect(db.engine).get_table_names()) >= {table.name for table in db.metadata.sorted_tables}


@pytest.mark.req("A2", "A6")
def test_in_paths(attacker: Attacker) -> None:
    with_parts = [route for route in attacker.routes() if "<" in route.rule.rule]

    answers = {
        (str(route), text): attacker.open(route, quote(text, safe=""), proof={}).status_code
        for route in with_parts
        for text in TEXTS
    }

    assert answers
    assert {key: status for key, status in answers.items() if status != 404} == {}


@pytest.mark.req("A2", "A6")
def test_in_queries(attacker: Attacker) -> None:
    for route in attacker.routes("query"):
        proof = attacker.proof(route)
        for name in route.schemas["query"].fields:
            for text in TEXTS:
                answer = attacker.open(route, query_string={name: text}, proof=proof)

                assert answer.status_code in (200, 422), (route, name, text)
                assert answer.status_code == 422 or answer.get_json()["items"] == [], (route, name, text)


@pytest.mark.req("A2", "A6")
def test_in_bodies(attacker: Attacker) -> None:
    users = len(attacker.rows()["users"])
    tried = 0
    for route in attacker.routes("json"):
        for text in TEXTS:
            for body in planted(attacker.sample(route), text):
                answer = attacker.open(route, json=body)
                tried += 1

                assert answer.status_code < 500, (route, body, answer.text)

    assert tried > 100
    assert len(attacker.rows()["users"]) >= users


@pytest.mark.req("A2", "A6")
def test_in_files_and_their_names(attacker: Attacker) -> None:
    for route in attacker.routes("files"):
        for text in TEXTS:
            for name, content in ((f"{text}.csv", "a\n1\n"), ("a.csv", f"{text}\n{text}\n")):
                answer = attacker.upload(route, name, content.encode())

                assert answer.status_code in (201, 413, 415, 422), (route, text, answer.text)


@pytest.mark.req("A2", "A6")
def test_in_names_of_members_and_of_queries(attacker: Attacker) -> None:
    for route in attacker.routes():
        proof = attacker.proof(route)
        for text in TEXTS:
            answer = attacker.open(route, query_string={text: "1"}, proof=proof)
            in_body = attacker.open(route, json={text: 1}, proof=proof) if "json" in route.schemas else answer

            assert answer.status_code == 422, (route, text)
            assert in_body.status_code == 422, (route, text)
