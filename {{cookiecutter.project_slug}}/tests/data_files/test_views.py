"""Files and tests through the API: one's own, whole or in part, and nobody else's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile, TestRun
from app.database import now
from app.storage import Storage
from tests.accounts.factory import bearer
from tests.api_keys.factory import with_key
from tests.data_files.factory import FILES, TESTS, make_file, make_run

pytestmark = [pytest.mark.req("A4"), pytest.mark.usefixtures("storage")]


@pytest.fixture
def file(app: Flask, session: Session, user: User) -> DataFile:
    return make_file(app, session, user)


def pages(client: FlaskClient, path: str, headers: dict[str, str]) -> list[int]:
    seen: list[int] = []
    cursor = None
    while True:
        query: dict[str, Any] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        body = client.get(path, query_string=query, headers=headers).get_json()
        seen += [item["id"] for item in body["items"]]
        if (cursor := body["next"]) is None:
            return seen


def test_files_are_listed_newest_first(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    time = now()
    files = [make_file(app, session, user) for _ in range(5)]
    for row, age in zip(files, (0, 0, 1, 0, 60), strict=True):  # equal times across a page's edge
        row.created_at = time - timedelta(seconds=age)
    session.commit()
    make_file(app, session, other_user)
    expected = sorted(files, key=lambda row: (row.created_at, row.id), reverse=True)

    assert pages(client, FILES, headers) == [row.id for row in expected]


def test_tests_are_listed_newest_first(
    app: Flask, client: FlaskClient, session: Session, file: DataFile, other_user: User, headers: dict[str, str]
) -> None:
    runs = [make_run(session, file) for _ in range(5)]
    make_run(session, make_file(app, session, other_user))

    assert pages(client, TESTS, headers) == [run.id for run in reversed(runs)]


def test_a_file_is_deleted_and_the_history_of_its_tests_stays(
    client: FlaskClient, session: Session, storage: Storage, file: DataFile, headers: dict[str, str]
) -> None:
    run = make_run(
        session, file, status="passed", report={"rows": 1, "problem_count": 0, "columns": [], "problems": []}
    )

    first = client.delete(f"{FILES}/{file.id}", headers=headers)
    second = client.delete(f"{FILES}/{file.id}", headers=headers)
    history = client.get(f"{TESTS}/{run.id}", headers=headers).get_json()

    assert (first.status_code, first.data, second.status_code) == (204, b"", 404)
    assert list(storage.entries("data-files/")) == []
    assert (history["data_file_id"], history["file_name"], history["status"]) == (None, "people.csv", "passed")
    assert history["report"] == {"rows": 1, "problem_count": 0, "columns": [], "problems": []}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/data-files/{file}"),
        ("DELETE", "/data-files/{file}"),
        ("GET", "/data-files/{file}/content"),
        ("POST", "/data-files/{file}/tests"),
        ("GET", "/tests/{run}"),
    ],
)
@pytest.mark.req("A2")
def test_somebody_else_s_are_answered_like_those_that_are_not_there(
    app: Flask,
    client: FlaskClient,
    session: Session,
    storage: Storage,
    other_user: User,
    headers: dict[str, str],
    method: str,
    path: str,
) -> None:
    file = make_file(app, session, other_user)
    run = make_run(session, file)

    answers = [
        client.open(f"/api/v1{path.format(file=file_id, run=run_id)}", method=method, headers=headers)
        for file_id, run_id in ((file.id, run.id), (2**40, 2**40))
    ]

    bodies = [answer.get_json() for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert bodies[0]["message"] == bodies[1]["message"]
    assert storage.exists(file.storage_key)


ROUTES = [
    ("GET", FILES, "files:read"),
    ("GET", f"{FILES}/1", "files:read"),
    ("GET", f"{FILES}/1/content", "files:read"),
    ("DELETE", f"{FILES}/1", "files:write"),
    ("POST", f"{FILES}/1/tests", "files:write"),
    ("GET", TESTS, "files:read"),
    ("GET", f"{TESTS}/1", "files:read"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
@pytest.mark.req("A2")
def test_a_key_opens_what_it_is_for(
    client: FlaskClient, session: Session, user: User, method: str, path: str, scope: str
) -> None:
    other = {"files:read": "files:write", "files:write": "files:read"}[scope]

    nobody = client.open(path, method=method)
    refused = client.open(path, method=method, headers=with_key(session, user, other))
    opened = client.open(path, method=method, headers=with_key(session, user, scope))

    assert (nobody.status_code, refused.status_code) == (401, 403)
    assert opened.status_code in (200, 404)


@pytest.mark.parametrize("body", [{}, {"json": {}}])
def test_a_test_is_begun_and_where_to_ask_for_it_is_said(
    client: FlaskClient, session: Session, file: DataFile, headers: dict[str, str], body: dict[str, Any]
) -> None:
    answer = client.post(f"/api/v2/data-files/{file.id}/tests", headers=headers, **body)

    run = session.query(TestRun).one()
    told = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v2/tests/{run.id}"
    assert (told["id"], told["data_file_id"], told["file_name"]) == (run.id, file.id, "people.csv")
    assert told["status"] in ("pending", "passed")  # passed, where tasks run at once
    asked = client.get(answer.headers["Location"], headers=headers).get_json()
    assert asked["status"] == run.status


@pytest.mark.parametrize("body", [{"json": {"fast": True}}, {"json": []}])
@pytest.mark.req("A6")
def test_a_test_takes_no_options(
    client: FlaskClient, file: DataFile, headers: dict[str, str], body: dict[str, Any]
) -> None:
    assert client.post(f"{FILES}/{file.id}/tests", headers=headers, **body).status_code == 422


def test_a_test_waits_while_the_queue_is_away(
    client: FlaskClient, session: Session, file: DataFile, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.data_files.tasks.run_test.send_if_possible", lambda _: False)

    answer = client.post(f"{FILES}/{file.id}/tests", headers=headers)

    assert (answer.status_code, answer.get_json()["status"]) == (202, "pending")
    assert session.query(TestRun).one().status == "pending"


@pytest.mark.req("A8")
@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [("GET", FILES, "300"), ("GET", TESTS, "300"), ("GET", f"{TESTS}/1", "200"), ("DELETE", f"{FILES}/1", "50")],
)
def test_limits(client: FlaskClient, headers: dict[str, str], method: str, path: str, limit: str) -> None:
    assert client.open(path, method=method, headers=headers).headers["RateLimit-Limit"] == limit


def test_another_user_s_list_is_empty(app: Flask, client: FlaskClient, file: DataFile, other_user: User) -> None:
    body = client.get(FILES, headers=bearer(app, other_user)).get_json()

    assert body == {"items": [], "next": None}
