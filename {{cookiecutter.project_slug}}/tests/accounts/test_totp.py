"""Setting up and removing the second factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts import totp
from app.accounts.models import RecoveryCode, User, UserTotp
from app.audit.models import AuditLog
from app.platform.database.encryption import CIPHERTEXT_PATTERN
from tests.accounts.factory import PASSWORD, bearer, current_code, make_totp, make_user
from tests.accounts.sign_in_flows import ME, as_header, first_step, post, sign_in
from tests.routes import routes

pytestmark = pytest.mark.req("A10")

USERS, STATE = "/api/v1/admin/users", "/api/v1/auth/totp"
PROVEN = ("totp/disable", "totp/recovery-codes")  # what needs the password and a code
AuditEntries = Callable[[], Sequence[AuditLog]]


def enroll(client: FlaskClient, headers: dict[str, str], password: str = PASSWORD) -> Any:
    return post(client, "totp/enroll", {"current_password": password}, headers)


def actions(entries: Sequence[AuditLog]) -> list[str]:
    return [entry.action for entry in entries]


def test_enrolment_takes_effect_when_a_code_confirms_it(
    app: Flask, client: FlaskClient, user: User, audit_entries: AuditEntries
) -> None:
    current, other = bearer(app, user), bearer(app, user)
    enrolled = enroll(client, current).get_json()
    before = sign_in(client, user.email).get_json()

    confirmed = post(client, "totp/confirm", {"code": current_code(enrolled["secret"])}, current)
    after = sign_in(client, user.email)

    assert "access_token" in before
    assert (confirmed.status_code, len(set(confirmed.get_json()["recovery_codes"]))) == (200, 10)
    assert (after.status_code, after.get_json().keys()) == (200, {"mfa_required", "mfa_token"})
    assert after.get_json()["mfa_required"] is True
    assert [client.get(ME, headers=headers).status_code for headers in (current, other)] == [200, 401]
    assert "user.totp_enabled" in actions(audit_entries())


def test_uri_contains_what_apps_need(client: FlaskClient, user: User, headers: dict[str, str]) -> None:
    enrolled = enroll(client, headers).get_json()

    uri = urlsplit(enrolled["otpauth_uri"])
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert parse_qs(uri.query) == {"secret": [enrolled["secret"]], "issuer": ["service-under-test"]}


def test_secret_and_recovery_codes_are_not_stored_in_plain_text(
    client: FlaskClient, session: Session, headers: dict[str, str]
) -> None:
    secret = enroll(client, headers).get_json()["secret"]
    codes = post(client, "totp/confirm", {"code": current_code(secret)}, headers).get_json()["recovery_codes"]

    (stored,) = session.execute(sa.text("SELECT secret FROM user_totp")).scalars()
    hashes = session.scalars(sa.select(RecoveryCode.code_hash)).all()
    assert CIPHERTEXT_PATTERN.fullmatch(stored)
    assert secret not in stored
    assert not {text for code in codes for text in (code, code.replace("-", ""))} & set(hashes)


@pytest.mark.req("P1")
@pytest.mark.fault("F64")
def test_secret_of_a_row_that_was_given_to_another_user_accepts_no_code(
    session: Session, user: User, other_user: User
) -> None:
    secret = make_totp(session, user)
    before = totp.accept_code(session, user.id, current_code(secret))
    session.execute(sa.update(UserTotp).values(user_id=other_user.id, last_step=None))

    after = totp.accept_code(session, other_user.id, current_code(secret))

    assert (before, after) == (True, False)


def test_nothing_secret_is_logged(
    client: FlaskClient, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    enrolled = enroll(client, headers).get_json()
    code = current_code(enrolled["secret"])
    codes = post(client, "totp/confirm", {"code": code}, headers).get_json()["recovery_codes"]

    output = "\n".join(str(vars(record)) for record in caplog.records)
    assert "/auth/totp/confirm" in output
    assert not [text for text in (enrolled["secret"], enrolled["otpauth_uri"], code, *codes) if text in output]


def test_wrong_password_shows_no_secret(client: FlaskClient, session: Session, headers: dict[str, str]) -> None:
    assert enroll(client, headers, "wrong").status_code == 403
    assert session.scalars(sa.select(UserTotp)).all() == []


def test_new_enrolment_replaces_an_unconfirmed_one(client: FlaskClient, headers: dict[str, str]) -> None:
    first, second = (enroll(client, headers).get_json()["secret"] for _ in range(2))

    statuses = [
        post(client, "totp/confirm", {"code": current_code(secret)}, headers).status_code for secret in (first, second)
    ]

    assert statuses == [403, 200]


def test_second_factor_in_use_cannot_be_replaced(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    secret, headers = make_totp(session, user), bearer(app, user)

    assert enroll(client, headers).status_code == 409
    assert post(client, "totp/confirm", {"code": current_code(secret)}, headers).status_code == 409


def test_confirmation_needs_an_enrolment(client: FlaskClient, headers: dict[str, str]) -> None:
    assert post(client, "totp/confirm", {"code": "123456"}, headers).status_code == 409


def test_wrong_code_is_audited(client: FlaskClient, headers: dict[str, str], audit_entries: AuditEntries) -> None:
    secret = enroll(client, headers).get_json()["secret"]

    assert post(client, "totp/confirm", {"code": current_code(secret, 5)}, headers).status_code == 403
    assert actions(audit_entries()) == ["user.totp_failed"]


@pytest.mark.parametrize("kind", ["code", "recovery_code"])
def test_removal_ends_all_sessions_and_needs_no_second_factor_afterwards(
    app: Flask, client: FlaskClient, session: Session, user: User, audit_entries: AuditEntries, kind: str
) -> None:
    secret, current, other = make_totp(session, user), bearer(app, user), bearer(app, user)
    codes = {"code": current_code(secret), "recovery_code": totp.create_recovery_codes(session, user.id)[0]}
    session.commit()

    removed = post(client, "totp/disable", {"current_password": PASSWORD, kind: codes[kind]}, current)

    assert removed.status_code == 204
    assert [client.get(ME, headers=headers).status_code for headers in (current, other)] == [401, 401]
    assert "access_token" in sign_in(client, user.email).get_json()
    assert session.scalars(sa.select(RecoveryCode)).all() == []
    assert "user.totp_disabled" in actions(audit_entries())


def test_state_shows_since_when_it_is_on_and_how_many_recovery_codes_are_left(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    headers = bearer(app, user)
    off = client.get(STATE, headers=headers).get_json()
    make_totp(session, user)
    code, *_ = totp.create_recovery_codes(session, user.id)
    session.commit()
    post(client, "login/totp", {"mfa_token": first_step(client, user), "recovery_code": code})

    on = client.get(STATE, headers=headers).get_json()

    assert off == {"enabled_at": None, "recovery_codes_left": 0}
    assert (on["enabled_at"] is None, on["recovery_codes_left"]) == (False, 9)


def test_secret_that_waits_for_its_confirmation_is_not_on(client: FlaskClient, headers: dict[str, str]) -> None:
    enroll(client, headers)

    assert client.get(STATE, headers=headers).get_json() == {"enabled_at": None, "recovery_codes_left": 0}


@pytest.mark.parametrize("kind", ["code", "recovery_code"])
def test_recovery_codes_are_replaced(
    app: Flask, client: FlaskClient, session: Session, user: User, audit_entries: AuditEntries, kind: str
) -> None:
    secret, headers = make_totp(session, user), bearer(app, user)
    earlier = totp.create_recovery_codes(session, user.id)
    session.commit()
    proof = {"code": current_code(secret), "recovery_code": earlier[0]}

    response = post(client, "totp/recovery-codes", {"current_password": PASSWORD, kind: proof[kind]}, headers)

    codes = response.get_json()["recovery_codes"]
    token = first_step(client, user)
    statuses = [
        post(client, "login/totp", {"mfa_token": token, "recovery_code": code}).status_code
        for code in (earlier[1], codes[0])
    ]
    assert (response.status_code, len(set(codes))) == (200, 10)
    assert statuses == [401, 200]
    assert client.get(ME, headers=headers).status_code == 200
    assert "user.recovery_codes_replaced" in actions(audit_entries())


@pytest.mark.parametrize("path", PROVEN)
@pytest.mark.parametrize("body", [{"code": "000000"}, {"recovery_code": "wrong"}, {}])
def test_change_needs_a_right_code(
    app: Flask, client: FlaskClient, session: Session, user: User, path: str, body: dict[str, str]
) -> None:
    make_totp(session, user)
    before = totp.create_recovery_codes(session, user.id)
    session.commit()

    response = post(client, path, {"current_password": PASSWORD, **body}, bearer(app, user))

    assert response.status_code == 403
    assert totp.count_recovery_codes(session, user.id) == len(before)
    assert "mfa_token" in sign_in(client, user.email).get_json()


@pytest.mark.parametrize("path", PROVEN)
def test_change_needs_the_password(app: Flask, client: FlaskClient, session: Session, user: User, path: str) -> None:
    body = {"current_password": "wrong", "code": current_code(make_totp(session, user))}

    assert post(client, path, body, bearer(app, user)).status_code == 403


def test_stolen_session_cannot_guess_codes(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    make_totp(session, user)
    headers, body = bearer(app, user), {"current_password": PASSWORD, "code": "000000"}

    assert [post(client, "totp/disable", body, headers).status_code for _ in range(7)] == [403] * 5 + [429] * 2


@pytest.mark.parametrize("path", PROVEN)
def test_change_without_a_second_factor_is_a_conflict(client: FlaskClient, headers: dict[str, str], path: str) -> None:
    body = {"current_password": PASSWORD, "code": "123456"}

    assert post(client, path, body, headers).status_code == 409


def test_admins_must_set_up_a_second_factor_if_the_setting_says_so(
    app: Flask, environment: Mapping[str, str], session: Session
) -> None:
    client = create_app({**environment, "ADMIN_TOTP_REQUIRED": "true"}).test_client()
    admin = make_user(session, role="admin")
    tokens = sign_in(client, admin.email).get_json()
    before = client.get(USERS, headers=as_header(tokens))

    secret = enroll(client, as_header(tokens)).get_json()["secret"]
    post(client, "totp/confirm", {"code": current_code(secret)}, as_header(tokens))
    tokens = post(client, "refresh", {"refresh_token": tokens["refresh_token"]}).get_json()

    assert before.status_code == 403
    assert "set up TOTP" in before.get_json()["message"]
    assert client.get(USERS, headers=as_header(tokens)).status_code == 200


def test_admin_with_a_second_factor_signs_in_for_admin_routes(
    app: Flask, environment: Mapping[str, str], session: Session
) -> None:
    client = create_app({**environment, "ADMIN_TOTP_REQUIRED": "true"}).test_client()
    admin = make_user(session, role="admin")
    body = {"code": current_code(make_totp(session, admin)), "mfa_token": first_step(client, admin)}

    assert client.get(USERS, headers=as_header(post(client, "login/totp", body).get_json())).status_code == 200


def test_every_admin_route_needs_the_second_factor(
    app: Flask, environment: Mapping[str, str], session: Session
) -> None:
    strict = create_app({**environment, "ADMIN_TOTP_REQUIRED": "true", "RATELIMIT_ENABLED": "false"})
    client, headers = strict.test_client(), bearer(app, make_user(session, role="admin"))
    found = {
        str(route): client.open(route.path(), method=route.method, headers=headers).status_code
        for route in routes(strict)
        if route.access == "admin"
    }

    assert found
    assert set(found.values()) == {403}, found
