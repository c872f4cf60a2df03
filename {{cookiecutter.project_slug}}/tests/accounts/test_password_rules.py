"""Common and breached passwords are rejected, and those that contain only the e-mail or the service's name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts import breached_passwords
from app.accounts.breached_passwords import comparable
from app.accounts.models import User
from app.accounts.password_rules import BREACHED, PERSONAL, SERVICE, UNCHANGED
from tests.accounts.factory import PASSWORD, bearer, make_user
from tests.accounts.samples import create_reset_body
from tests.script_modules import import_script

AUTH = "/api/v1/auth"
SERVICE_NAME = "weather-station"
EMAIL = "lady.lovelace@analytical.example"

REFUSED = {
    "1234567890": BREACHED,
    "password123": BREACHED,
    "PASSWORD123": BREACHED,
    "qwertyuiop": BREACHED,
    "iloveyou123": BREACHED,
    " password123": BREACHED,
    "password123\u00a0": BREACHED,
    "pass\u200bword123": BREACHED,
    "\u202epassword123\ufe0f": BREACHED,
    "\uff50\uff41\uff53\uff53word123": BREACHED,  # full-width letters
    "\u3164\uff30ASSWORD\uff11\uff12\uff13 ": BREACHED,
    "weather-station": SERVICE,
    "\uff57eather-\u200bstation": SERVICE,
    "WeatherStation": SERVICE,
    "weather station 2026!": SERVICE,
    EMAIL: PERSONAL,
    EMAIL.upper(): PERSONAL,
    "lady.lovelace": PERSONAL,
    "LadyLovelace1815": PERSONAL,
    "analytical.example": PERSONAL,
    "analytical1843": PERSONAL,
}
ACCEPTED = (
    "correct horse battery staple",
    "another horse, another staple",
    PASSWORD,
    "password123 of the lady",
    "weather-station of the lady",
    "lady.lovelace and the engine",
    "0000 0000 0000 7",
    "пароль для службы",
)


@pytest.fixture
def named_client(app: Flask, environment: Mapping[str, str]) -> FlaskClient:
    """A client of an app that has a known name and no rate limits."""
    del app  # which migrates the database
    return create_app({**environment, "SERVICE_NAME": SERVICE_NAME, "RATELIMIT_ENABLED": "false"}).test_client()


def register(client: FlaskClient, password: str) -> Any:
    return client.post(f"{AUTH}/register", json={"email": EMAIL, "password": password})


@pytest.mark.parametrize(("password", "problem"), REFUSED.items(), ids=REFUSED)
@pytest.mark.req("A10")
def test_registration_refuses_the_password_and_names_the_rule(
    named_client: FlaskClient, password: str, problem: str
) -> None:
    response = register(named_client, password)

    assert (response.status_code, response.get_json()["errors"]) == (422, {"password": [problem]})


@pytest.mark.parametrize("password", ACCEPTED)
@pytest.mark.req("A10")
def test_registration_accepts_other_passwords(named_client: FlaskClient, password: str) -> None:
    assert register(named_client, password).status_code == 201


@pytest.mark.req("A10")
def test_accepted_password_is_compared_exactly(named_client: FlaskClient) -> None:
    password = " correct \uff48orse battery staple\u200b"
    register(named_client, password)

    variants = (password, password.strip(), comparable(password))
    statuses = [
        named_client.post(f"{AUTH}/login", json={"email": EMAIL, "password": variant}).status_code
        for variant in variants
    ]
    assert statuses == [200, 401, 401]


@pytest.mark.parametrize("email", ["1234567@example.org", "a@b.example.org"])
@pytest.mark.req("A10")
def test_digits_of_an_address_forbid_no_other_password(named_client: FlaskClient, email: str) -> None:
    account = {"email": email, "password": "83 15 29 61 07"}

    assert named_client.post(f"{AUTH}/register", json=account).status_code == 201


@pytest.mark.parametrize(
    ("password", "problem"), [("password123", BREACHED), (PASSWORD, UNCHANGED), ("Lady.Lovelace1", PERSONAL)]
)
@pytest.mark.req("A10")
def test_change_refuses_the_password_and_keeps_the_old_one(
    app: Flask, client: FlaskClient, session: Session, password: str, problem: str
) -> None:
    user = make_user(session, email=EMAIL)
    body = {"current_password": PASSWORD, "new_password": password}

    response = client.post(f"{AUTH}/change-password", headers=bearer(app, user), json=body)

    login = client.post(f"{AUTH}/login", json={"email": EMAIL, "password": PASSWORD})
    assert (response.status_code, response.get_json()["errors"]) == (422, {"new_password": [problem]})
    assert login.status_code == 200


@pytest.mark.parametrize(("password", "problem"), [("password123", BREACHED), ("Lady.Lovelace1", PERSONAL)])
@pytest.mark.req("A10")
def test_reset_refuses_the_password_and_the_link_stays_valid(
    app: Flask, client: FlaskClient, session: Session, password: str, problem: str
) -> None:
    user = make_user(session, email=EMAIL)
    with app.app_context():
        body = create_reset_body(app, session, user)

    refused = client.post(f"{AUTH}/reset-password", json={**body, "new_password": password})
    accepted = client.post(f"{AUTH}/reset-password", json={**body, "new_password": "another horse, another staple"})

    assert (refused.status_code, refused.get_json()["errors"]) == (422, {"new_password": [problem]})
    assert accepted.status_code == 204


@pytest.mark.req("A10")
def test_refused_password_is_no_failed_sign_in(environment: Mapping[str, str], session: Session, user: User) -> None:
    app = create_app({**environment, "RATELIMIT_LOGIN": "100/minute"})
    headers, client = bearer(app, user), app.test_client()
    body = {"current_password": PASSWORD, "new_password": f"{user.email}1"}

    statuses = {client.post(f"{AUTH}/change-password", headers=headers, json=body).status_code for _ in range(7)}

    assert statuses == {422}


@pytest.mark.req("A10")
def test_first_admin_gets_no_common_password(app: Flask, environment: Mapping[str, str]) -> None:
    admin = {"ADMIN_EMAIL": "root@example.org", "ADMIN_PASSWORD": "password123"}

    result = create_app({**environment, **admin}).test_cli_runner().invoke(args=["init-db"])

    assert result.exit_code == 1
    assert f"ADMIN_PASSWORD: {BREACHED}" in result.output


@pytest.mark.req("A10")
@pytest.mark.parametrize(
    ("role", "message"), [("admin", "first admin exists already"), ("user", "exists and is no admin")]
)
def test_password_of_an_existing_account_does_not_stop_the_start(
    environment: Mapping[str, str], session: Session, role: str, message: str
) -> None:
    admin = {"ADMIN_EMAIL": make_user(session, role=role).email, "ADMIN_PASSWORD": "password123"}

    result = create_app({**environment, **admin}).test_cli_runner().invoke(args=["init-db"])

    assert result.exit_code == 0
    assert message in result.output


@pytest.mark.req("A10")
def test_list_contains_the_3000_most_common_passwords_and_is_small() -> None:
    entries = breached_passwords.FILE.stat().st_size / breached_passwords.DIGEST_BYTES

    assert 100_000 < entries < 400_000  # at most 2 MB in memory
    assert entries == int(entries)
    assert sys.getsizeof(breached_passwords._digests()) < 2_000_000


@pytest.mark.req("A10")
def test_script_writes_a_list_from_text_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, target = import_script("make_breached_passwords"), tmp_path / "list.bin"
    (tmp_path / "words.txt").write_text("short\nLong Enough 1\nlong enough 1\n" + "x" * 129 + "\n", encoding="utf-8")

    status = script.main([str(tmp_path / "words.txt")], target)

    monkeypatch.setattr(breached_passwords, "_digests", target.read_bytes)
    assert (status, len(target.read_bytes())) == (0, breached_passwords.DIGEST_BYTES)
    assert breached_passwords.is_breached("LONG ENOUGH 1")
    assert not breached_passwords.is_breached("long enough 2")
    assert script.main([]) == 2
