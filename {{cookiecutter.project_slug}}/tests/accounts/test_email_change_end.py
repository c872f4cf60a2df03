"""What ends the sessions of a user also ends a change of the e-mail that waits for its confirmation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts.models import EmailChange, User
from app.platform.database.base import utc_now
from app.platform.security import tokens
from tests.accounts.email_change_flows import NEW, change, confirm, links
from tests.accounts.factory import PASSWORD, bearer, make_email_change, make_user
from tests.accounts.samples import create_reset_body
from tests.accounts.sign_in_flows import post
from tests.servers.smtp import Mailbox

pytestmark = pytest.mark.req("A10", "P3")

NEW_PASSWORD = "another horse, another staple"


def reset_by_email(client: FlaskClient, session: Session, user: User) -> TestResponse:
    with client.application.app_context():
        body = {**create_reset_body(client.application, session, user), "new_password": NEW_PASSWORD}
    return post(client, "reset-password", body)


def change_password(client: FlaskClient, _session: Session, user: User) -> TestResponse:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return post(client, "change-password", body, bearer(client.application, user))


def sign_out_everywhere(client: FlaskClient, _session: Session, user: User) -> TestResponse:
    return post(client, "logout", {"everywhere": True}, bearer(client.application, user))


def by_admin(action: str) -> Callable[[FlaskClient, Session, User], TestResponse]:
    def act(client: FlaskClient, session: Session, user: User) -> TestResponse:
        headers = bearer(client.application, make_user(session, role="admin"))
        return client.post(f"/api/v1/admin/users/{user.id}/{action}", headers=headers)

    return act


RECOVERIES = {
    "reset by e-mail": reset_by_email,
    "changed password": change_password,
    "logout everywhere": sign_out_everywhere,
    "reset by an admin": by_admin("reset-password"),
    "suspension": by_admin("suspend"),
}


@pytest.mark.parametrize("recover", RECOVERIES.values(), ids=RECOVERIES)
def test_recovery_ends_a_change(
    mail_client: FlaskClient,
    mailbox: Mailbox,
    session: Session,
    user: User,
    recover: Callable[[FlaskClient, Session, User], TestResponse],
) -> None:
    change(mail_client, bearer(mail_client.application, user))
    old, new = links(mailbox, user.email, NEW)
    confirm(mail_client, old)

    assert recover(mail_client, session, user).status_code < 300
    assert confirm(mail_client, new).status_code == 401
    assert session.scalars(sa.select(EmailChange)).all() == []


def test_end_of_one_session_keeps_a_change(mail_client: FlaskClient, mailbox: Mailbox, user: User) -> None:
    headers = bearer(mail_client.application, user)
    change(mail_client, headers)

    assert post(mail_client, "logout", {}, headers).status_code == 204
    assert confirm(mail_client, links(mailbox, NEW)[0]).status_code == 200


@pytest.mark.parametrize("side", ["old", "new"])
def test_suspended_user_cannot_confirm_a_change(app: Flask, client: FlaskClient, session: Session, side: str) -> None:
    user = make_user(session, suspended_at=utc_now())
    link = make_email_change(session, user).link_id
    with app.app_context():
        token = tokens.sign(tokens.EMAIL_CHANGE, user.id, 60, link=link, side=side)

    assert confirm(client, token).status_code == 401
