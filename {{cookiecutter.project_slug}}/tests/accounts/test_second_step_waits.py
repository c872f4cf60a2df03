"""Wrong codes of the second factor make the next ones wait; wrong passwords of others do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts import service
from app.accounts.models import User
from app.audit.models import AuditLog
from app.platform.security import tokens
from tests.accounts.factory import PASSWORD, current_code, make_totp
from tests.accounts.samples import create_reset_body
from tests.accounts.sign_in_flows import first_step, post, second_step, sign_in

pytestmark = pytest.mark.req("A10")

NEW = "another horse, another staple"
AuditEntries = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def secret(session: Session, user: User) -> str:
    """The secret of the user's second factor."""
    return make_totp(session, user)


def test_wrong_codes_make_the_account_wait(
    client: FlaskClient, user: User, secret: str, audit_entries: AuditEntries
) -> None:
    """Each attempt has a right first step, from another network."""
    statuses = []
    for _ in range(7):
        response = sign_in(client, user.email)
        if response.status_code == 200:
            response = second_step(client, response.get_json()["mfa_token"], code="000000")
        statuses.append(response.status_code)

    assert statuses == [401] * 5 + [429] * 2
    failed = [entry for entry in audit_entries() if entry.action == "user.totp_failed"]
    assert [(entry.actor_id, entry.target_id) for entry in failed] == [(None, str(user.id))] * 5


def test_right_passwords_do_not_forget_wrong_codes_of_a_known_network(
    app: Flask, environment: Mapping[str, str], user: User, secret: str
) -> None:
    limits = dict.fromkeys(("RATELIMIT_LOGIN", "RATELIMIT_TOTP"), "100/minute")
    client, home = create_app({**environment, **limits}).test_client(), "192.0.2.77"
    credentials = {"email": user.email, "password": PASSWORD}
    assert second_step(client, first_step(client, user), home, code=current_code(secret)).status_code == 200

    statuses = []
    for _ in range(7):
        response = post(client, "login", credentials, address=home)
        if response.status_code == 200:
            response = second_step(client, response.get_json()["mfa_token"], home, code="000000")
        statuses.append(response.status_code)

    assert statuses == [401] * 5 + [429] * 2


@pytest.mark.fault("F9")
@pytest.mark.req("A2", "A8")
def test_wrong_passwords_of_others_do_not_make_the_code_wait(client: FlaskClient, user: User, secret: str) -> None:
    home, token = "192.0.2.77", first_step(client, user)
    attacked = [sign_in(client, user.email, "a wrong password").status_code for _ in range(6)]

    completed = second_step(client, token, home, code=current_code(secret))
    again = post(client, "login", {"email": user.email, "password": PASSWORD}, address=home)

    assert attacked == [401] * 5 + [429]
    assert completed.status_code == 200
    assert again.status_code == 200  # the network is known now


def test_completed_sign_in_forgets_wrong_passwords_of_a_known_network(
    app: Flask, environment: Mapping[str, str], user: User, secret: str
) -> None:
    limits = dict.fromkeys(("RATELIMIT_LOGIN", "RATELIMIT_TOTP"), "100/minute")
    client, home = create_app({**environment, **limits}).test_client(), "192.0.2.77"
    wrong, right = ({"email": user.email, "password": password} for password in ("a wrong password", PASSWORD))

    statuses = []
    for code in (current_code(secret, -1), current_code(secret)):
        statuses += [post(client, "login", wrong, address=home).status_code for _ in range(3)]
        token = post(client, "login", right, address=home).get_json()["mfa_token"]
        statuses.append(second_step(client, token, home, code=code).status_code)
    after = [post(client, "login", wrong, address=home).status_code for _ in range(5)]

    assert statuses == [401, 401, 401, 200] * 2
    assert after == [401] * 5


def test_new_password_by_email_allows_no_more_codes(
    app: Flask, client: FlaskClient, session: Session, user: User, secret: str
) -> None:
    for _ in range(5):
        second_step(client, first_step(client, user), code="000000")
    with app.app_context():
        reset = create_reset_body(app, session, user)
    assert post(client, "reset-password", {**reset, "new_password": NEW}).status_code == 204

    token = sign_in(client, user.email, NEW).get_json()["mfa_token"]
    assert second_step(client, token, code="000000").status_code == 429


def test_one_token_allows_few_attempts(app: Flask, client: FlaskClient, user: User, secret: str) -> None:
    token = first_step(client, user)
    statuses = [second_step(client, token, code="000000").status_code for _ in range(12)]

    assert statuses[:5] == [401] * 5
    assert set(statuses[5:]) == {429}


def test_attacker_without_the_password_causes_no_failures(
    app: Flask, client: FlaskClient, user: User, secret: str
) -> None:
    with app.app_context():
        guessed = [
            tokens.sign(tokens.MFA, user.id, -10, fingerprint=service.password_fingerprint(user)),
            tokens.sign(tokens.MFA, user.id, 60, fingerprint="0" * 32),
            "x.y.z",
        ]

    statuses = [second_step(client, token, code="000000").status_code for token in guessed * 3]

    assert statuses == [401] * 9
    assert second_step(client, first_step(client, user), code=current_code(secret)).status_code == 200
