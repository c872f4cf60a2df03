"""Making an account, signing in, reading one's profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit.models import AuditLog
from tests.accounts.factory import PASSWORD, bearer

REGISTER, LOGIN, ME = "/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/users/me"


@pytest.mark.req("A3")
def test_a_new_user_registers_signs_in_and_reads_the_profile(client: FlaskClient) -> None:
    registered = client.post(REGISTER, json={"email": "Ann@Example.org", "password": PASSWORD, "display_name": "Ann"})
    signed_in = client.post(LOGIN, json={"email": "ann@example.ORG", "password": PASSWORD})
    token = signed_in.get_json()["access_token"]
    profile = client.get(ME, headers={"Authorization": f"Bearer {token}"})

    assert registered.status_code == 201
    assert registered.get_json().keys() == {"id", "email", "role", "display_name", "created_at"}
    assert signed_in.get_json().keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert signed_in.get_json()["token_type"] == "Bearer"
    assert profile.get_json() == registered.get_json()
    assert profile.get_json()["email"] == "ann@example.org"


@pytest.mark.req("A3")
def test_an_email_is_taken_whatever_its_case(client: FlaskClient) -> None:
    client.post(REGISTER, json={"email": "ann@example.org", "password": PASSWORD})

    second = client.post(REGISTER, json={"email": "ANN@example.org", "password": PASSWORD})

    assert second.status_code == 409
    assert second.get_json()["errors"] == {"email": ["Already taken."]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "not an address"}, "email"),
        ({"email": f"{'a' * 250}@example.org"}, "email"),
        ({"email": None}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"password": ["a list of words"]}, "password"),
        ({"display_name": ""}, "display_name"),
        ({"display_name": "nul\x00byte"}, "display_name"),
        ({"role": "admin"}, "role"),
        ({"id": 1}, "id"),
        ({"is_admin": True}, "is_admin"),
    ],
)
@pytest.mark.req("A6")
def test_a_registration_that_is_no_good_is_refused_by_field(
    client: FlaskClient, session: Session, change: dict[str, object], field: str
) -> None:
    answer = client.post(REGISTER, json={"email": "ann@example.org", "password": PASSWORD, **change})

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == [field]
    assert session.scalar(sa.select(sa.func.count(User.id))) == 0


def test_the_password_is_kept_as_argon2id_only(client: FlaskClient, session: Session) -> None:
    client.post(REGISTER, json={"email": "ann@example.org", "password": PASSWORD})

    kept = session.scalars(sa.select(User)).one()

    assert kept.password_hash.startswith("$argon2id$")
    assert PASSWORD not in kept.password_hash


@pytest.mark.parametrize("email", ["nobody@example.org", None])
def test_a_wrong_password_and_an_unknown_email_get_the_same_answer(
    client: FlaskClient, user: User, email: str | None
) -> None:
    answer = client.post(LOGIN, json={"email": email or user.email, "password": "wrong password"})

    assert answer.status_code == 401
    assert answer.get_json()["message"] == "E-mail or password is wrong."
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_registering_and_signing_in_are_in_the_audit_log(
    client: FlaskClient, audited: Callable[[], Sequence[AuditLog]]
) -> None:
    client.post(REGISTER, json={"email": "ann@example.org", "password": PASSWORD})
    client.post(LOGIN, json={"email": "ann@example.org", "password": PASSWORD}, headers={"X-Request-ID": "from-a-test"})

    entries = audited()

    assert [entry.action for entry in entries] == ["user.registered", "user.signed_in"]
    assert entries[1].request_id == "from-a-test"
    assert entries[1].address == "127.0.0.1"


def test_the_profile_of_an_account_that_is_gone_cannot_be_read(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    headers = bearer(app, user)
    session.delete(user)
    session.commit()

    assert client.get(ME, headers=headers).status_code == 401


@pytest.mark.req("A2")
def test_a_profile_is_changed_where_something_is_given(app: Flask, client: FlaskClient, user: User) -> None:
    headers = bearer(app, user)

    named = client.patch(ME, headers=headers, json={"display_name": "Ann"})
    unchanged = client.patch(ME, headers=headers, json={})
    cleared = client.patch(ME, headers=headers, json={"display_name": None})

    assert [answer.get_json()["display_name"] for answer in (named, unchanged, cleared)] == ["Ann", "Ann", None]
    assert client.get(ME, headers=headers).get_json() == cleared.get_json()


@pytest.mark.parametrize("field", ["id", "role", "email", "password_hash", "created_at"])
@pytest.mark.req("A2")
def test_nothing_else_of_a_profile_can_be_changed(
    app: Flask, client: FlaskClient, session: Session, user: User, field: str
) -> None:
    before = getattr(user, field)

    answer = client.patch(ME, headers=bearer(app, user), json={field: "admin"})

    session.expire_all()
    assert answer.get_json()["errors"] == {field: ["Unknown field."]}
    assert getattr(user, field) == before
