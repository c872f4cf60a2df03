"""Changing a password, and replacing a forgotten one by mail."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app, mail
from app.accounts import service, tasks
from app.accounts.models import User
from app.audit.service import Origin
from app.security import passwords, tokens
from tests.accounts.factory import PASSWORD, bearer
from tests.environments import basic_environment
from tests.servers.smtp import Mailbox, start_smtp

LOGIN, ME = "/api/v1/auth/login", "/api/v1/users/me"
CHANGE, FORGOT, RESET = (f"/api/v1/auth/{name}" for name in ("change-password", "forgot-password", "reset-password"))
NEW = "another horse, another staple"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with start_smtp() as mailbox:
        yield mailbox


@pytest.fixture
def mailing(app: Flask, mailbox: Mailbox, environment: dict[str, str]) -> Flask:
    """The app, with a mail server."""
    settings = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(mailbox.port), "MAIL_USE_TLS": "false"}
    return create_app({**environment, **settings, "PUBLIC_BASE_URL": "https://service.example.org"})


def signs_in(client: FlaskClient, user: User, password: str) -> bool:
    return client.post(LOGIN, json={"email": user.email, "password": password}).status_code == 200


@pytest.mark.req("A2")
def test_a_changed_password_is_good_the_old_one_is_not_and_other_sessions_end(
    app: Flask, client: FlaskClient, user: User
) -> None:
    here, elsewhere = bearer(app, user), bearer(app, user)

    answer = client.post(CHANGE, headers=here, json={"current_password": PASSWORD, "new_password": NEW})

    assert (answer.status_code, answer.data) == (204, b"")
    assert [client.get(ME, headers=headers).status_code for headers in (here, elsewhere)] == [200, 401]
    assert [signs_in(client, user, password) for password in (PASSWORD, NEW)] == [False, True]


@pytest.mark.req("A2")
def test_who_does_not_know_the_password_cannot_change_it(app: Flask, client: FlaskClient, user: User) -> None:
    answer = client.post(CHANGE, headers=bearer(app, user), json={"current_password": "wrong", "new_password": NEW})

    assert answer.status_code == 403
    assert answer.get_json()["errors"] == {"current_password": ["Is wrong."]}
    assert signs_in(client, user, PASSWORD)


def link_token(mailbox: Mailbox) -> str:
    found = re.search(r"https://service\.example\.org/reset-password#token=(\S+)", mailbox.wait().get_content())
    assert found
    return found[1]


@pytest.mark.req("A2")
def test_a_forgotten_password_is_replaced_by_the_link_of_a_mail_once(
    mailing: Flask, app: Flask, client: FlaskClient, mailbox: Mailbox, user: User
) -> None:
    headers = bearer(app, user)
    with mailing.app_context():
        tasks.send_reset_mail(user.email)
    token = link_token(mailbox)

    first = client.post(RESET, json={"token": token, "new_password": NEW})
    second = client.post(RESET, json={"token": token, "new_password": "a third password"})

    assert mailbox.messages[0]["To"] == user.email
    assert [first.status_code, second.status_code] == [204, 401]
    assert [signs_in(client, user, password) for password in (PASSWORD, NEW)] == [False, True]
    assert client.get(ME, headers=headers).status_code == 401


@pytest.mark.req("A2")
def test_a_reset_token_is_refused_when_it_is_old_of_another_kind_or_for_an_earlier_password(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    with app.app_context():
        mark = service.fingerprint(user)
        bad = {
            "expired": tokens.sign(tokens.RESET, user.id, -10, mark=mark),
            "refresh": tokens.sign(tokens.REFRESH, user.id, 60, mark=mark),
            "no mark": tokens.sign(tokens.RESET, user.id, 60),
            "earlier": tokens.sign(tokens.RESET, user.id, 60, mark="0" * 32),
            "gone": tokens.sign(tokens.RESET, user.id + 1000, 60, mark=mark),
            "rubbish": "rubbish",
        }

    statuses = {
        name: client.post(RESET, json={"token": token, "new_password": NEW}).status_code for name, token in bad.items()
    }

    assert statuses == dict.fromkeys(bad, 401)
    assert signs_in(client, user, PASSWORD)


def test_of_two_resets_with_one_token_the_database_lets_one_through(session: Session, user: User) -> None:
    mark, origin = service.fingerprint(user), Origin(None, None)
    with Session(session.get_bind()) as other:
        stale = other.get(User, user.id)
        assert stale
        service.reset_password(session, user_id=user.id, mark=mark, password=NEW, origin=origin)

        with pytest.raises(service.ResetRefused):
            service.reset_password(other, user_id=user.id, mark=mark, password="a third password", origin=origin)


@pytest.mark.req("A2")
def test_asking_for_a_mail_is_answered_alike_with_and_without_an_account(
    mailing: Flask, mailbox: Mailbox, user: User
) -> None:
    client = mailing.test_client()

    known = client.post(FORGOT, json={"email": user.email})
    unknown = client.post(FORGOT, json={"email": "nobody@example.org"})

    assert known.status_code == unknown.status_code == 202
    assert known.get_json() == unknown.get_json()


def test_no_mail_is_sent_to_an_address_without_an_account(mailing: Flask, mailbox: Mailbox) -> None:
    with mailing.app_context():
        tasks.send_reset_mail("nobody@example.org")

    assert mailbox.messages == []


def test_a_mail_server_that_cannot_encrypt_gets_no_mail(app: Flask, mailbox: Mailbox, user: User) -> None:
    settings = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(mailbox.port)}
    strict = create_app(basic_environment(**settings))

    with strict.app_context(), pytest.raises(mail.TRY_AGAIN):
        mail.send(strict.extensions["settings"], recipient=user.email, subject="s", text="t")
    assert mailbox.messages == []


def test_a_header_cannot_be_put_into_a_mail(app: Flask, mailing: Flask, mailbox: Mailbox) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        mail.send(mailing.extensions["settings"], recipient="a@example.org\nBcc: b@example.org", subject="s", text="t")
    assert mailbox.messages == []


def test_a_hash_of_weaker_parameters_is_renewed_when_somebody_signs_in(
    client: FlaskClient, session: Session, user: User
) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    session.execute(sa.update(User).values(password_hash=weak))
    session.commit()

    assert signs_in(client, user, PASSWORD)
    session.expire_all()
    assert user.password_hash != weak
    assert not passwords.needs_rehash(user.password_hash)
    assert signs_in(client, user, PASSWORD)
