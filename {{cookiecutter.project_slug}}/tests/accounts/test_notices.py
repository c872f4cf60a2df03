"""E-mails about security events: to the owner of the account, without secrets, and never at the cost of a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.accounts import erasure, notices, totp
from app.accounts.models import User
from app.platform.database.base import db, utc_now
from app.platform.settings.declarations import settings_of
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import PASSWORD, bearer, current_code, make_totp
from tests.accounts.samples import create_reset_body
from tests.accounts.sign_in_flows import first_step, second_step
from tests.environments import basic_environment
from tests.servers import free_port
from tests.servers.smtp import Mailbox

AUTH = "/api/v1/auth"
NEW = "another horse, another staple"
HOME, OFFICE = "192.0.2.1", "2001:db8::1"
PHONE, LAPTOP = "Phone/1.2.3 (Os 14_5)", "Laptop/9.9"

Act = Callable[[Flask, Session, User], TestResponse]


@pytest.fixture
def mail_app(app: Flask, mailbox: Mailbox, environment: Mapping[str, str]) -> Flask:
    """An app with a mail server; without Redis, tasks run in the request."""
    del app  # which migrates the database
    without_queue = {name: value for name, value in environment.items() if name != "REDIS_URL"}
    return create_app({**without_queue, **mailbox.environment})


def change_password(app: Flask, session: Session, user: User) -> TestResponse:
    del session
    body = {"current_password": PASSWORD, "new_password": NEW}
    return app.test_client().post(f"{AUTH}/change-password", headers=bearer(app, user), json=body)


def reset_password(app: Flask, session: Session, user: User) -> TestResponse:
    with app.app_context():
        body = {**create_reset_body(app, session, user), "new_password": NEW}
    return app.test_client().post(f"{AUTH}/reset-password", json=body)


def turn_totp_on(app: Flask, session: Session, user: User) -> TestResponse:
    body = {"code": current_code(make_totp(session, user, confirmed=False))}
    return app.test_client().post(f"{AUTH}/totp/confirm", headers=bearer(app, user), json=body)


def prove(action: str, kind: str) -> Act:
    """Return a function that uses the password, and a code or a recovery code."""

    def act(app: Flask, session: Session, user: User) -> TestResponse:
        codes = {"code": current_code(make_totp(session, user))}
        codes["recovery_code"], *_ = totp.create_recovery_codes(session, user.id)
        session.commit()
        body = {"current_password": PASSWORD, kind: codes[kind]}
        return app.test_client().post(f"{AUTH}/totp/{action}", headers=bearer(app, user), json=body)

    return act


def sign_in_with_recovery_code(app: Flask, session: Session, user: User) -> TestResponse:
    make_totp(session, user)
    code, *_ = totp.create_recovery_codes(session, user.id)
    session.commit()
    client = app.test_client()
    return second_step(client, first_step(client, user), "127.0.0.1", recovery_code=code)


EVENTS: dict[str, tuple[Act, str]] = {
    "change": (change_password, "Your password was changed."),
    "reset": (reset_password, "A new password was set through the link of an e-mail."),
    "second factor on": (turn_totp_on, "A second factor was turned on for your account."),
    "second factor off": (prove("disable", "code"), "The second factor of your account was removed."),
    "second factor off by recovery code": (
        prove("disable", "recovery_code"),
        "The second factor of your account was removed with a recovery code.",
    ),
    "recovery codes": (prove("recovery-codes", "code"), "The recovery codes of your account were replaced."),
    "recovery code used": (sign_in_with_recovery_code, "Someone signed in to your account with a recovery code."),
}


@pytest.mark.parametrize(("act", "text"), EVENTS.values(), ids=EVENTS)
@pytest.mark.req("A10")
def test_event_is_announced_to_the_owner(
    mail_app: Flask, mailbox: Mailbox, session: Session, user: User, act: Act, text: str
) -> None:
    response = act(mail_app, session, user)

    mail = mailbox.wait()
    content = mail.get_content()
    assert response.status_code < 300
    assert mail["To"] == user.email
    assert mail["Subject"] == f"{settings_of(mail_app).SERVICE_NAME}: security notice"
    assert content.startswith(text)
    assert f"Time: {utc_now():%Y-%m-%d}" in content
    assert "Address: 127.0.0.1" in content
    assert not any(secret in content for secret in (PASSWORD, NEW, "fsk_", user.email))
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize(("act", "_text"), EVENTS.values(), ids=EVENTS)
@pytest.mark.req("A10")
def test_request_succeeds_if_nothing_can_be_sent(
    app: Flask, environment: Mapping[str, str], session: Session, user: User, act: Act, _text: str
) -> None:
    del app
    unreachable = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(free_port()), "MAIL_USE_TLS": "false"}
    without_queue = {name: value for name, value in environment.items() if name != "REDIS_URL"}

    assert act(create_app({**without_queue, **unreachable}), session, user).status_code < 300


@pytest.mark.req("A10")
def test_request_succeeds_while_the_queue_is_away(mailbox: Mailbox) -> None:
    queue = f"redis://127.0.0.1:{free_port()}/0"
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=queue, **mailbox.environment))

    with app.test_request_context():
        notices.send(1, "Your password was changed.")

    assert mailbox.messages == []


@pytest.mark.req("A10")
def test_nothing_is_queued_without_a_mail_server(
    app: Flask, monkeypatch: pytest.MonkeyPatch, session: Session, user: User
) -> None:
    queued: list[Any] = []
    monkeypatch.setattr(notices.send_notice, "try_apply_async", lambda *call, **_: queued.append(call))

    assert change_password(app, session, user).status_code == 204
    assert queued == []


@pytest.mark.req("A10", "S12")
def test_arguments_of_the_tasks_are_hidden(
    mail_app: Flask, monkeypatch: pytest.MonkeyPatch, session: Session, user: User
) -> None:
    options: list[dict[str, Any]] = []
    for task in (notices.send_notice, notices.check_device):
        monkeypatch.setattr(task, "try_apply_async", lambda _arguments, **given: options.append(given))
    user.last_login_at = utc_now()
    session.commit()

    sign_in(mail_app.test_client(), user, HOME, PHONE)
    change_password(mail_app, session, user)

    assert options == [{"argsrepr": notices.HIDDEN}] * 2


@pytest.mark.req("A10")
def test_erased_user_gets_no_notice(mail_app: Flask, mailbox: Mailbox, session: Session, user: User) -> None:
    with mail_app.app_context():
        erasure.begin_erasure(
            db.session(), db.session().get_one(User, user.id), actor_id=None, origin=RequestOrigin(None, None)
        )
        db.session().commit()
        for user_id in (user.id, user.id + 10**6):
            notices.send_notice(user_id, "Your password was changed.", utc_now().isoformat(), None)

    assert mailbox.messages == []


def sign_in(client: FlaskClient, user: User, address: str, user_agent: str) -> None:
    body = {"email": user.email, "password": PASSWORD}
    environ = {"REMOTE_ADDR": address, "HTTP_USER_AGENT": user_agent}
    assert client.post(f"{AUTH}/login", json=body, environ_base=environ).status_code == 200


@pytest.mark.req("A10")
def test_sign_in_from_a_new_device_is_announced_once(
    mail_app: Flask, mailbox: Mailbox, session: Session, user: User
) -> None:
    client, counts = mail_app.test_client(), []
    for address, user_agent in [
        (HOME, PHONE),  # the first sign-in of the account
        (HOME, PHONE),
        (HOME, LAPTOP),
        (OFFICE, LAPTOP),
        ("2001:db8::ffff", "Laptop/10.0"),  # another address of the /64, and another version
        (HOME, LAPTOP),
    ]:
        sign_in(client, user, address, user_agent)
        counts.append(len(mailbox.messages))

    assert counts == [0, 0, 1, 2, 2, 2]
    assert [mail["To"] for mail in mailbox.messages] == [user.email] * 2
    assert mailbox.messages[1].get_content().startswith(notices.NEW_DEVICE)
    assert f"Address: {OFFICE}" in mailbox.messages[1].get_content()
    assert LAPTOP not in mailbox.messages[1].get_content()


@pytest.mark.req("A10")
def test_devices_of_other_users_are_not_known(
    mail_app: Flask, mailbox: Mailbox, session: Session, user: User, other_user: User
) -> None:
    client = mail_app.test_client()
    sign_in(client, other_user, OFFICE, LAPTOP)
    session.execute(sa.update(User).values(last_login_at=utc_now()))
    session.commit()

    sign_in(client, user, OFFICE, LAPTOP)

    assert [mail["To"] for mail in mailbox.messages] == [user.email]
