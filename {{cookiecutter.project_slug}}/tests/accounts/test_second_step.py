"""Signing in with a second factor: each code once, failures that count, and tokens of one purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts import totp
from app.accounts.models import RecoveryCode, User, UserTotp
from app.audit.models import AuditLog
from tests.accounts.factory import PASSWORD, bearer, current_code, make_totp
from tests.accounts.samples import create_email_change_body, create_reset_body, create_verification_body
from tests.accounts.sign_in_flows import ACTIVE, ME, as_header, first_step, post, second_step, sign_in

pytestmark = pytest.mark.req("A10")

NEW = "another horse, another staple"
AuditEntries = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def secret(session: Session, user: User) -> str:
    """The secret of the user's second factor."""
    return make_totp(session, user)


def test_code_completes_the_sign_in(client: FlaskClient, user: User, secret: str) -> None:
    response = second_step(client, first_step(client, user), code=current_code(secret))

    assert response.status_code == 200
    assert client.get(ME, headers=as_header(response.get_json())).get_json()["id"] == user.id


def test_code_is_accepted_once(client: FlaskClient, user: User, secret: str) -> None:
    code = current_code(secret)
    statuses = [second_step(client, first_step(client, user), code=code).status_code for _ in range(2)]

    assert statuses == [200, 401]


def test_earlier_code_is_refused_after_a_later_one(client: FlaskClient, user: User, secret: str) -> None:
    statuses = [
        second_step(client, first_step(client, user), code=current_code(secret, steps)).status_code for steps in (1, 0)
    ]

    assert statuses == [200, 401]


def test_code_that_confirmed_the_enrolment_is_used_up(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    code = current_code(make_totp(session, user, confirmed=False))
    assert post(client, "totp/confirm", {"code": code}, bearer(app, user)).status_code == 200

    assert second_step(client, first_step(client, user), code=code).status_code == 401


@pytest.mark.parametrize("steps", [-5, 5])
def test_code_outside_the_window_is_refused(client: FlaskClient, user: User, secret: str, steps: int) -> None:
    assert second_step(client, first_step(client, user), code=current_code(secret, steps)).status_code == 401


def test_concurrent_uses_of_one_code_succeed_once(app: Flask, client: FlaskClient, user: User, secret: str) -> None:
    code, token = current_code(secret), first_step(client, user)

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda _: second_step(app.test_client(), token, code=code).status_code, range(4)))

    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 503}  # 503: SQLite does not wait for a lock


def test_code_is_accepted_once_without_the_lock_of_the_user(session: Session, user: User, secret: str) -> None:
    code = current_code(secret)
    with Session(session.get_bind()) as other:
        assert totp.accept_code(other, user.id, code)
        other.commit()

    assert not totp.accept_code(session, user.id, code)


def test_recovery_code_is_accepted_once_however_it_is_written(
    client: FlaskClient, session: Session, user: User, secret: str, audit_entries: AuditEntries
) -> None:
    first, second, *_ = totp.create_recovery_codes(session, user.id)
    session.commit()

    codes = (first, first, second.upper().replace("-", " "))
    statuses = [second_step(client, first_step(client, user), recovery_code=code).status_code for code in codes]

    assert statuses == [200, 401, 200]
    used = [entry.details for entry in audit_entries() if entry.action == "user.recovery_code_used"]
    assert used == [{"left": 9}, {"left": 8}]
    assert len(session.scalars(sa.select(RecoveryCode)).all()) == 8


def test_recovery_code_of_another_user_is_refused(
    client: FlaskClient, session: Session, user: User, other_user: User, secret: str
) -> None:
    code = totp.create_recovery_codes(session, other_user.id)[0]
    session.commit()

    assert second_step(client, first_step(client, user), recovery_code=code).status_code == 401


def test_sign_in_needs_a_code(client: FlaskClient, user: User, secret: str) -> None:
    assert second_step(client, first_step(client, user)).status_code == 401


def test_recovery_codes_work_if_the_secret_cannot_be_decrypted(
    client: FlaskClient, session: Session, user: User, secret: str
) -> None:
    code = totp.create_recovery_codes(session, user.id)[0]
    session.execute(sa.text("UPDATE user_totp SET secret = 'enc:00000000:gAAAAAbroken'"))
    session.commit()

    assert second_step(client, first_step(client, user), code=current_code(secret)).status_code == 401
    assert second_step(client, first_step(client, user), recovery_code=code).status_code == 200


def test_new_password_ends_the_first_step_and_keeps_the_second_factor(
    app: Flask, client: FlaskClient, session: Session, user: User, secret: str
) -> None:
    token = first_step(client, user)
    with app.app_context():
        reset = create_reset_body(app, session, user)
    assert post(client, "reset-password", {**reset, "new_password": NEW}).status_code == 204

    assert second_step(client, token, code=current_code(secret)).status_code == 401
    assert "mfa_token" in sign_in(client, user.email, NEW).get_json()


def test_removed_second_factor_ends_the_first_step(
    client: FlaskClient, session: Session, user: User, secret: str
) -> None:
    token = first_step(client, user)
    session.execute(sa.delete(UserTotp))
    session.commit()

    assert second_step(client, token, code=current_code(secret)).status_code == 401


def test_erased_user_cannot_complete_a_sign_in(
    app: Flask, client: FlaskClient, session: Session, user: User, secret: str
) -> None:
    token, headers = first_step(client, user), bearer(app, user)
    client.delete(ME, headers=headers)

    assert second_step(client, token, code=current_code(secret)).status_code == 401


def test_tokens_serve_one_purpose(app: Flask, client: FlaskClient, session: Session, user: User, secret: str) -> None:
    signed_in = second_step(client, first_step(client, user), code=current_code(secret)).get_json()
    with app.app_context():
        created = {
            "access": signed_in["access_token"],
            "refresh": signed_in["refresh_token"],
            "reset": create_reset_body(app, session, user)["token"],
            "mfa": first_step(client, user),
            "verification": create_verification_body(app, session, user)["token"],
            "email change": create_email_change_body(app, session, user)["token"],
        }
    uses: dict[str, Callable[[str], TestResponse]] = {
        "refresh": lambda token: post(client, "refresh", {"refresh_token": token}),
        "reset": lambda token: post(client, "reset-password", {"token": token, "new_password": NEW}),
        "mfa": lambda token: second_step(client, token, code=current_code(secret, 1)),
        "verification": lambda token: post(client, "verify-email", {"token": token}),
        "email change": lambda token: post(client, "confirm-email", {"token": token}),
        "access": lambda token: client.get(ACTIVE, headers={"Authorization": f"Bearer {token}"}),
    }

    accepted = {
        (name, use)
        for use, send in uses.items()
        for name, token in created.items()
        if name != use and send(token).status_code != 401
    }

    assert accepted == set()


def test_first_step_is_recorded_as_no_sign_in(
    client: FlaskClient, user: User, secret: str, audit_entries: AuditEntries
) -> None:
    assert sign_in(client, user.email, PASSWORD).status_code == 200

    assert audit_entries() == []
