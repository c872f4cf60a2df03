"""Failed sign-ins: growing waits that do not lock the owner out, and entries in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.accounts import service, sign_ins
from app.accounts.models import User
from app.audit.models import AuditLog
from tests.accounts.factory import PASSWORD, bearer
from tests.accounts.samples import create_reset_body

AUTH = "/api/v1/auth"
WRONG, NEW = "a wrong password", "another horse, another staple"
HOME, OFFICE = "192.0.2.1", "2001:db8::1"

AuditEntries = Callable[[], Sequence[AuditLog]]

_numbers = count()


def sign_in(client: FlaskClient, email: str, password: str, address: str | None = None) -> TestResponse:
    """Sign in from an address; by default from a new one, in a network of its own."""
    number = next(_numbers)
    environ = {"REMOTE_ADDR": address or f"2001:db8:{number:x}::1"}
    return client.post(f"{AUTH}/login", json={"email": email, "password": password}, environ_base=environ)


def attack(client: FlaskClient, email: str, attempts: int = 60) -> list[int]:
    return [sign_in(client, email, WRONG).status_code for _ in range(attempts)]


@pytest.mark.fault("F9")
@pytest.mark.req("A2", "A8")
def test_many_addresses_cannot_guess_one_password(client: FlaskClient, user: User) -> None:
    assert attack(client, user.email) == [401] * 5 + [429] * 55


@pytest.mark.fault("F9")
@pytest.mark.req("A2")
def test_unknown_account_gets_the_same_responses(client: FlaskClient, user: User) -> None:
    responses = {
        email: [sign_in(client, email, WRONG) for _ in range(7)] for email in (user.email, "unknown@example.org")
    }

    known, unknown = (
        [(response.status_code, response.get_json()["message"][:56]) for response in found]
        for found in responses.values()
    )
    assert known == unknown


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_waiting_request_is_told_how_long(client: FlaskClient, user: User) -> None:
    attack(client, user.email, 5)

    response = sign_in(client, user.email, PASSWORD)

    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 15
    assert response.get_json()["message"].startswith("Too many failed sign-ins for this account")


@pytest.mark.fault("F9")
@pytest.mark.req("A2", "A8")
def test_attack_does_not_lock_known_networks_out(client: FlaskClient, user: User) -> None:
    for address in (HOME, OFFICE):
        sign_in(client, user.email, PASSWORD, address)
    attack(client, user.email)

    statuses = [
        sign_in(client, user.email, PASSWORD, address).status_code
        for address in (HOME, OFFICE, "2001:db8::ffff", "192.0.2.2")  # another address of the /64; another IPv4 address
    ]

    assert statuses == [200, 200, 200, 429]


@pytest.mark.fault("F9")
@pytest.mark.req("A2", "A8")
def test_new_password_by_email_ends_the_wait(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    attack(client, user.email)
    with app.app_context():
        body = {**create_reset_body(app, session, user), "new_password": NEW}

    before = sign_in(client, user.email, PASSWORD, HOME).status_code
    reset = client.post(f"{AUTH}/reset-password", json=body, environ_base={"REMOTE_ADDR": HOME}).status_code
    attack(client, user.email)
    after = sign_in(client, user.email, NEW, HOME).status_code

    assert (before, reset, after) == (429, 204, 200)


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_success_elsewhere_gives_attackers_no_new_attempts(client: FlaskClient, user: User) -> None:
    attack(client, user.email, 4)
    assert sign_in(client, user.email, PASSWORD, HOME).status_code == 200

    assert attack(client, user.email, 3) == [401, 429, 429]


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_concurrent_guesses_cannot_pass_together(app: Flask, user: User) -> None:
    email = user.email
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: sign_in(app.test_client(), email, WRONG).status_code, range(24)))

    assert sorted(statuses) == [401] * 5 + [429] * 19


@pytest.mark.req("A8")
def test_failure_of_the_service_is_no_failed_sign_in(
    client: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the database is away"))

    with monkeypatch.context() as patch:
        patch.setattr(service, "login", fail)
        statuses = attack(client, user.email, 9)

    assert statuses == [503] * 9
    assert sign_in(client, user.email, PASSWORD).status_code == 200


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_settings_change_failures_and_waits(app: Flask, environment: Mapping[str, str], user: User) -> None:
    settings = {"SIGN_IN_FREE_FAILURES": "1", "SIGN_IN_MAX_WAIT_SECONDS": "15"}
    client = create_app({**environment, **settings}).test_client()

    assert attack(client, user.email, 3) == [401, 429, 429]


@pytest.mark.fault("F9")
@pytest.mark.req("A2", "A8")
def test_stolen_session_cannot_guess_the_password(app: Flask, environment: Mapping[str, str], user: User) -> None:
    client = create_app({**environment, "RATELIMIT_LOGIN": "100/minute"}).test_client()
    headers, body = bearer(app, user), {"current_password": WRONG, "new_password": NEW}

    statuses = [client.post(f"{AUTH}/change-password", headers=headers, json=body).status_code for _ in range(8)]

    assert statuses == [403] * 5 + [429] * 3


@pytest.mark.fault("F9")
@pytest.mark.req("P4", "S12")
def test_failed_sign_ins_are_in_the_audit_log(client: FlaskClient, user: User, audit_entries: AuditEntries) -> None:
    for email in (user.email, "unknown@example.org"):
        sign_in(client, email, WRONG, HOME)

    entries = audit_entries()
    assert [(entry.action, entry.target_type, entry.target_id) for entry in entries] == [
        ("user.sign_in_failed", "user", str(user.id)),
        ("user.sign_in_failed", "user", sign_ins.UNKNOWN),
    ]
    assert {(entry.actor_id, entry.address) for entry in entries} == {(None, HOME)}
    assert all(entry.request_id for entry in entries)
    stored = str([vars(entry) for entry in entries])
    assert not any(text in stored for text in (WRONG, user.email, "unknown@example.org"))


@pytest.mark.fault("F9")
@pytest.mark.req("P4")
def test_wrong_current_password_is_in_the_audit_log(
    app: Flask, client: FlaskClient, user: User, audit_entries: AuditEntries
) -> None:
    body = {"current_password": WRONG, "new_password": NEW}
    client.post(f"{AUTH}/change-password", headers=bearer(app, user), json=body)

    (entry,) = audit_entries()
    assert (entry.action, entry.actor_id, entry.target_id) == ("user.password_change_failed", user.id, str(user.id))


@pytest.mark.fault("F9")
@pytest.mark.req("P4", "A8")
def test_attackers_cannot_fill_the_audit_log(
    app: Flask, environment: Mapping[str, str], user: User, audit_entries: AuditEntries
) -> None:
    client = create_app({**environment, "RATELIMIT_FAILED_SIGN_IN_AUDIT": "3/hour"}).test_client()

    attack(client, user.email, 9)
    statuses = [sign_in(client, f"unknown{number}@example.org", WRONG).status_code for number in range(9)]

    assert statuses == [401] * 9
    assert len(audit_entries()) == 3


def registered(client: FlaskClient, address: str) -> dict[str, Any]:
    account = {"email": f"new{next(_numbers)}@example.org", "password": PASSWORD}
    assert client.post(f"{AUTH}/register", json=account, environ_base={"REMOTE_ADDR": address}).status_code == 201
    return account


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_registration_makes_the_network_known(client: FlaskClient) -> None:
    account = registered(client, HOME)
    attack(client, account["email"])

    assert sign_in(client, account["email"], PASSWORD, HOME).status_code == 200


@pytest.mark.req("A2")
def test_wrong_password_changes_elsewhere_do_not_lock_the_owner_out(environment: Mapping[str, str], user: User) -> None:
    client = create_app({**environment, "RATELIMIT_LOGIN": "100/minute"}).test_client()
    token = sign_in(client, user.email, PASSWORD, HOME).get_json()["access_token"]

    def change(current: str, address: str) -> int:
        body = {"current_password": current, "new_password": NEW}
        headers = {"Authorization": f"Bearer {token}"}
        environ = {"REMOTE_ADDR": address}
        return client.post(f"{AUTH}/change-password", headers=headers, json=body, environ_base=environ).status_code

    stolen = [change(WRONG, OFFICE) for _ in range(7)]

    assert stolen[-1] == 429
    assert change(PASSWORD, HOME) == 204
