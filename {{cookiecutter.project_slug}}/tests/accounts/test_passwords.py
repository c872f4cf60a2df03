"""Changing a password, and resetting a forgotten one by e-mail."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts import service, tasks
from app.accounts.models import User
from app.platform.security import passwords, tokens
from app.platform.settings.declarations import settings_of
from app.platform.tasks import mail
from app.platform.tasks.celery import PUBLISH_FAILURES
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import PASSWORD, bearer
from tests.environments import basic_environment
from tests.servers import free_port
from tests.servers.smtp import Mailbox

LOGIN, ME = "/api/v1/auth/login", "/api/v1/users/me"
CHANGE, FORGOT, RESET = (f"/api/v1/auth/{name}" for name in ("change-password", "forgot-password", "reset-password"))
NEW = "another horse, another staple"


@pytest.fixture
def mail_app(app: Flask, mailbox: Mailbox, environment: dict[str, str]) -> Flask:
    """An app with a mail server."""
    return create_app({**environment, **mailbox.environment})


def login_succeeds(client: FlaskClient, user: User, password: str) -> bool:
    return client.post(LOGIN, json={"email": user.email, "password": password}).status_code == 200


@pytest.mark.req("A2")
def test_password_change_ends_other_sessions_and_old_password(app: Flask, client: FlaskClient, user: User) -> None:
    current, other = bearer(app, user), bearer(app, user)

    response = client.post(CHANGE, headers=current, json={"current_password": PASSWORD, "new_password": NEW})

    assert (response.status_code, response.data) == (204, b"")
    assert [client.get(ME, headers=headers).status_code for headers in (current, other)] == [200, 401]
    assert [login_succeeds(client, user, password) for password in (PASSWORD, NEW)] == [False, True]


@pytest.mark.req("A2")
def test_password_change_rejects_wrong_current_password(app: Flask, client: FlaskClient, user: User) -> None:
    response = client.post(CHANGE, headers=bearer(app, user), json={"current_password": "wrong", "new_password": NEW})

    assert response.status_code == 403
    assert response.get_json()["errors"] == {"current_password": ["Is wrong."]}
    assert login_succeeds(client, user, PASSWORD)


def link_token(mailbox: Mailbox) -> str:
    match = re.search(r"https://service\.example\.org/reset-password#token=(\S+)", mailbox.wait().get_content())
    assert match
    return match[1]


@pytest.mark.req("A2")
def test_reset_link_sets_new_password_once(
    mail_app: Flask, app: Flask, client: FlaskClient, mailbox: Mailbox, user: User
) -> None:
    headers = bearer(app, user)
    with mail_app.app_context():
        tasks.send_reset_mail(user.email)
    token = link_token(mailbox)

    first = client.post(RESET, json={"token": token, "new_password": NEW})
    second = client.post(RESET, json={"token": token, "new_password": "a third password"})

    assert mailbox.messages[0]["To"] == user.email
    assert [first.status_code, second.status_code] == [204, 401]
    assert [login_succeeds(client, user, password) for password in (PASSWORD, NEW)] == [False, True]
    assert client.get(ME, headers=headers).status_code == 401


@pytest.mark.req("A2")
def test_invalid_reset_tokens_are_rejected(app: Flask, client: FlaskClient, user: User) -> None:
    with app.app_context():
        fingerprint = service.password_fingerprint(user)
        invalid = {
            "expired": tokens.sign(tokens.RESET, user.id, -10, fingerprint=fingerprint),
            "wrong type": tokens.sign(tokens.REFRESH, user.id, 60, fingerprint=fingerprint),
            "no fingerprint": tokens.sign(tokens.RESET, user.id, 60),
            "earlier password": tokens.sign(tokens.RESET, user.id, 60, fingerprint="0" * 32),
            "unknown user": tokens.sign(tokens.RESET, user.id + 1000, 60, fingerprint=fingerprint),
            "malformed": "malformed",
        }

    statuses = {
        name: client.post(RESET, json={"token": token, "new_password": NEW}).status_code
        for name, token in invalid.items()
    }

    assert statuses == dict.fromkeys(invalid, 401)
    assert login_succeeds(client, user, PASSWORD)


def test_concurrent_resets_with_one_token_succeed_once(app: Flask, session: Session, user: User) -> None:
    fingerprint, origin = service.password_fingerprint(user), RequestOrigin(None, None)
    with app.app_context(), Session(session.get_bind()) as other:
        stale = other.get(User, user.id)
        assert stale
        service.reset_password(session, user_id=user.id, fingerprint=fingerprint, password=NEW, origin=origin)

        with pytest.raises(service.PasswordResetRejected):
            service.reset_password(
                other, user_id=user.id, fingerprint=fingerprint, password="a third password", origin=origin
            )


@pytest.mark.req("A2")
def test_forgot_password_response_is_equal_for_unknown_email(mail_app: Flask, mailbox: Mailbox, user: User) -> None:
    client = mail_app.test_client()

    known = client.post(FORGOT, json={"email": user.email})
    unknown = client.post(FORGOT, json={"email": "unknown@example.org"})

    assert known.status_code == unknown.status_code == 202
    assert known.get_json() == unknown.get_json()


@pytest.mark.req("A2", "O2")
def test_email_that_cannot_be_queued_is_reported_and_counted() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"))
    before = PUBLISH_FAILURES.labels("accounts.send_reset_mail")._value.get()

    response = app.test_client().post(FORGOT, json={"email": "ada@example.com"})

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert PUBLISH_FAILURES.labels("accounts.send_reset_mail")._value.get() - before == 1


def test_no_email_is_sent_to_unknown_address(mail_app: Flask, mailbox: Mailbox) -> None:
    with mail_app.app_context():
        tasks.send_reset_mail("unknown@example.org")

    assert mailbox.messages == []


def test_server_without_encryption_receives_no_email(app: Flask, mailbox: Mailbox, user: User) -> None:
    strict_app = create_app(basic_environment(**{**mailbox.environment, "MAIL_USE_TLS": "true"}))

    with strict_app.app_context(), pytest.raises(mail.RETRYABLE_ERRORS):
        mail.send(settings_of(strict_app), recipient=user.email, subject="s", text="t")
    assert mailbox.messages == []


def test_recipient_cannot_inject_headers(app: Flask, mail_app: Flask, mailbox: Mailbox) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        mail.send(settings_of(mail_app), recipient="a@example.org\nBcc: b@example.org", subject="s", text="t")
    assert mailbox.messages == []


def test_login_rehashes_password_with_weak_parameters(client: FlaskClient, session: Session, user: User) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    session.execute(sa.update(User).values(password_hash=weak))
    session.commit()

    assert login_succeeds(client, user, PASSWORD)
    session.expire_all()
    assert user.password_hash != weak
    assert not passwords.needs_rehash(user.password_hash)
    assert login_succeeds(client, user, PASSWORD)
