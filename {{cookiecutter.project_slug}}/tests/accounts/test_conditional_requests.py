"""ETags of profiles: 304 for an unchanged one, and no change that overwrites another."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts.models import User
from tests.accounts.factory import bearer, make_user

pytestmark = pytest.mark.req("A9")

ME = "/api/v1/users/me"
FAILED = "/problems/precondition-failed"


def rename(client: FlaskClient, headers: dict[str, str], name: str, etag: str) -> TestResponse:
    return client.patch(ME, json={"display_name": name}, headers={**headers, "If-Match": etag})


def test_unchanged_profile_is_not_sent_again(client: FlaskClient, headers: dict[str, str]) -> None:
    first = client.get(ME, headers=headers)

    second = client.get(ME, headers={**headers, "If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.data) == (304, b"")
    assert second.headers["ETag"] == first.headers["ETag"]
    assert int(second.headers["RateLimit-Remaining"]) == int(first.headers["RateLimit-Remaining"]) - 1
    assert second.headers["Cache-Control"] == "no-store"
    assert "Content-Type" not in second.headers
    assert "Content-Length" not in second.headers


@pytest.mark.parametrize("etags", ["*", "W/{0}", '"other", {0}'])
def test_every_form_of_if_none_match_is_compared(client: FlaskClient, headers: dict[str, str], etags: str) -> None:
    etag = client.get(ME, headers=headers).headers["ETag"]

    response = client.get(ME, headers={**headers, "If-None-Match": etags.format(etag)})

    assert response.status_code == 304


@pytest.mark.parametrize("etags", ['"other"', "", "()"])
def test_other_etags_get_the_profile(client: FlaskClient, headers: dict[str, str], etags: str) -> None:
    response = client.get(ME, headers={**headers, "If-None-Match": etags})

    assert response.status_code == 200
    assert response.get_json()["id"]


def test_changed_profile_is_sent_with_a_new_etag(client: FlaskClient, headers: dict[str, str]) -> None:
    old = client.get(ME, headers=headers).headers["ETag"]
    changed = client.patch(ME, json={"display_name": "Ada"}, headers=headers)

    response = client.get(ME, headers={**headers, "If-None-Match": old})

    assert response.status_code == 200
    assert response.headers["ETag"] == changed.headers["ETag"] != old


@pytest.mark.parametrize("form", ["{0}", "*", '"other", {0}'])
def test_change_with_the_current_etag_succeeds(client: FlaskClient, headers: dict[str, str], form: str) -> None:
    etag = client.get(ME, headers=headers).headers["ETag"]

    assert rename(client, headers, "Ada", form.format(etag)).status_code == 200


@pytest.mark.parametrize("form", ['"other"', "W/{0}", ""])
def test_change_with_another_etag_is_rejected(client: FlaskClient, headers: dict[str, str], form: str) -> None:
    etag = client.get(ME, headers=headers).headers["ETag"]

    response = rename(client, headers, "Ada", form.format(etag))

    assert (response.status_code, response.get_json()["type"]) == (412, FAILED)
    assert client.get(ME, headers=headers).headers["ETag"] == etag


def test_second_change_with_the_same_etag_is_rejected(client: FlaskClient, headers: dict[str, str]) -> None:
    etag = client.get(ME, headers=headers).headers["ETag"]

    responses = [rename(client, headers, name, etag) for name in ("Ada", "Grace")]

    assert [response.status_code for response in responses] == [200, 412]
    assert client.get(ME, headers=headers).get_json()["display_name"] == "Ada"


def test_of_concurrent_changes_with_the_same_etag_one_succeeds(
    app: Flask, client: FlaskClient, headers: dict[str, str]
) -> None:
    etag = client.get(ME, headers=headers).headers["ETag"]
    statuses: list[int] = []
    start = Barrier(4, timeout=60)

    def change(name: str) -> None:
        start.wait()
        statuses.append(rename(app.test_client(), headers, name, etag).status_code)

    threads = [Thread(target=change, args=(f"name {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200, 412, 412, 412]


def test_role_change_compares_the_etag_of_the_previous_change(app: Flask, session: Session, user: User) -> None:
    admin = bearer(app, make_user(session, role="admin"))
    path, client = f"/api/v1/admin/users/{user.id}/role", app.test_client()

    first = client.put(path, json={"role": "user"}, headers=admin)
    match = {**admin, "If-Match": first.headers["ETag"]}
    responses = [client.put(path, json={"role": role}, headers=match) for role in ("admin", "user")]

    assert [response.status_code for response in responses] == [200, 412]
    assert responses[1].get_json()["type"] == FAILED
    session.refresh(user)
    assert user.role == "admin"
