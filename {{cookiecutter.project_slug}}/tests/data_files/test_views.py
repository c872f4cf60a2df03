"""Files and tests through the API: callers see only their own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile, TestRun
from app.platform.database.base import utc_now
from app.platform.storage import Storage
from tests.accounts.factory import bearer
from tests.conftest import ScopedKey
from tests.data_files.factory import FILES, TESTS, make_file, make_run
from tests.pages import all_items

pytestmark = [pytest.mark.req("A4"), pytest.mark.usefixtures("storage")]


def ids_on_all_pages(client: FlaskClient, path: str, headers: dict[str, str]) -> list[int]:
    return [item["id"] for item in all_items(client, path, headers, limit=2)]


def test_files_are_listed_newest_first(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    time = utc_now()
    files = [make_file(app, session, user) for _ in range(5)]
    for row, age in zip(files, (0, 0, 1, 0, 60), strict=True):  # equal times on two pages
        row.created_at = time - timedelta(seconds=age)
    session.commit()
    make_file(app, session, other_user)
    expected = sorted(files, key=lambda row: (row.created_at, row.id), reverse=True)

    assert ids_on_all_pages(client, FILES, headers) == [row.id for row in expected]


def test_tests_are_listed_newest_first(
    app: Flask, client: FlaskClient, session: Session, file: DataFile, other_user: User, headers: dict[str, str]
) -> None:
    runs = [make_run(session, file) for _ in range(5)]
    make_run(session, make_file(app, session, other_user))

    assert ids_on_all_pages(client, TESTS, headers) == [run.id for run in reversed(runs)]


def test_deleting_a_file_keeps_its_test_history(
    client: FlaskClient, session: Session, storage: Storage, file: DataFile, headers: dict[str, str]
) -> None:
    run = make_run(
        session, file, status="passed", report={"rows": 1, "problem_count": 0, "columns": [], "problems": []}
    )

    first = client.delete(f"{FILES}/{file.id}", headers=headers)
    second = client.delete(f"{FILES}/{file.id}", headers=headers)
    history = client.get(f"{TESTS}/{run.id}", headers=headers).get_json()

    assert (first.status_code, first.data, second.status_code) == (204, b"", 404)
    assert list(storage.list_objects("data-files/")) == []
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
def test_other_users_objects_look_like_missing_ones(
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

    responses = [
        client.open(f"/api/v1{path.format(file=file_id, run=run_id)}", method=method, headers=headers)
        for file_id, run_id in ((file.id, run.id), (2**40, 2**40))
    ]

    bodies = [response.get_json() for response in responses]
    assert [response.status_code for response in responses] == [404, 404]
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
def test_api_key_needs_the_scope_of_the_route(
    client: FlaskClient, scoped_key: ScopedKey, user: User, method: str, path: str, scope: str
) -> None:
    other = {"files:read": "files:write", "files:write": "files:read"}[scope]

    anonymous = client.open(path, method=method)
    rejected = client.open(path, method=method, headers=scoped_key(user, other))
    allowed = client.open(path, method=method, headers=scoped_key(user, scope))

    assert (anonymous.status_code, rejected.status_code) == (401, 403)
    assert allowed.status_code in (200, 404)


@pytest.mark.parametrize("options", [{}, {"json": {}}])
def test_starting_a_test_returns_its_location(
    client: FlaskClient, session: Session, file: DataFile, headers: dict[str, str], options: dict[str, Any]
) -> None:
    response = client.post(f"/api/v2/data-files/{file.id}/tests", headers=headers, **options)

    run = session.query(TestRun).one()
    body = response.get_json()
    assert response.status_code == 202
    assert response.headers["Location"] == f"/api/v2/tests/{run.id}"
    assert (body["id"], body["data_file_id"], body["file_name"]) == (run.id, file.id, "people.csv")
    assert body["status"] in ("pending", "passed")  # passed if tasks run eagerly
    polled = client.get(response.headers["Location"], headers=headers).get_json()
    assert polled["status"] == run.status


@pytest.mark.parametrize("options", [{"json": {"fast": True}}, {"json": []}])
@pytest.mark.req("A6")
def test_options_of_a_test_are_rejected(
    client: FlaskClient, file: DataFile, headers: dict[str, str], options: dict[str, Any]
) -> None:
    assert client.post(f"{FILES}/{file.id}/tests", headers=headers, **options).status_code == 422


def test_test_stays_pending_during_queue_outage(
    client: FlaskClient, session: Session, file: DataFile, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.data_files.tasks.run_test.try_delay", lambda _: False)

    response = client.post(f"{FILES}/{file.id}/tests", headers=headers)

    assert (response.status_code, response.get_json()["status"]) == (202, "pending")
    assert session.query(TestRun).one().status == "pending"


@pytest.mark.req("A8")
@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [("GET", FILES, "300"), ("GET", TESTS, "300"), ("GET", f"{TESTS}/1", "200"), ("DELETE", f"{FILES}/1", "50")],
)
def test_routes_have_their_rate_limits(
    client: FlaskClient, headers: dict[str, str], method: str, path: str, limit: str
) -> None:
    assert client.open(path, method=method, headers=headers).headers["RateLimit-Limit"] == limit


def test_list_of_another_user_is_empty(app: Flask, client: FlaskClient, file: DataFile, other_user: User) -> None:
    body = client.get(FILES, headers=bearer(app, other_user)).get_json()

    assert body == {"items": [], "next": None}
