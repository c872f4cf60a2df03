"""E-mails of accounts that cannot be queued, and what the log and the operator see of e-mails."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from kombu.exceptions import OperationalError
from sqlalchemy.orm import Session

from app import create_app
from app.accounts import email_tasks
from app.accounts.models import User
from app.features import FEATURE_SETTINGS
from app.platform.database.base import utc_now
from app.platform.settings.checks import check_settings
from tests.accounts.factory import PASSWORD, bearer, make_email_change, make_user
from tests.accounts.sign_in_flows import link_token, post
from tests.environments import production_environment
from tests.log_capture import captured_log
from tests.servers.smtp import Mailbox

pytestmark = pytest.mark.req("A10")

NEW = {"email": "new@example.org", "password": "a long enough password"}
TASKS = {
    "register": (email_tasks.send_registration_mail, NEW),
    "resend-verification": (email_tasks.send_verification_mail, {"email": NEW["email"]}),
    "change-email": (email_tasks.send_email_change_mail, {"email": NEW["email"], "current_password": PASSWORD}),
}


@pytest.mark.parametrize("route", TASKS)
def test_email_that_cannot_be_queued_is_an_error_that_a_retry_repairs(
    mail_client: FlaskClient, mailbox: Mailbox, user: User, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("the broker is away")

    (task, body), headers = TASKS[route], bearer(mail_client.application, user)
    with monkeypatch.context() as patch:
        patch.setattr(task, "apply_async", fail)
        failed = post(mail_client, route, body, headers)

    assert failed.status_code == 503
    assert int(failed.headers["Retry-After"]) > 0
    assert mailbox.messages == []
    assert post(mail_client, route, body, headers).status_code == 202
    assert bool(mailbox.messages) is (route != "resend-verification")  # no account has the address


@pytest.mark.parametrize("task", [email_tasks.send_registration_mail, email_tasks.send_verification_mail])
def test_no_email_is_sent_to_an_unknown_address(mail_client: FlaskClient, mailbox: Mailbox, task: Any) -> None:
    with mail_client.application.app_context():
        task("unknown@example.org")

    assert mailbox.messages == []


@pytest.mark.req("S12")
def test_log_contains_no_address_and_no_token(mail_client: FlaskClient, mailbox: Mailbox, user: User) -> None:
    headers = bearer(mail_client.application, user)
    with captured_log() as log:
        post(mail_client, "register", NEW)
        post(mail_client, "change-email", {"email": "changed@example.org", "current_password": PASSWORD}, headers)

    pages = {NEW["email"]: "verify-email", user.email: "confirm-email", "changed@example.org": "confirm-email"}
    found = {message["To"]: link_token(message, pages[message["To"]]) for message in mailbox.messages}
    assert found.keys() == pages.keys()
    assert "accounts.send_email_change_mail" in log.getvalue()
    assert not [text for pair in found.items() for text in pair if text in log.getvalue()]


def test_links_lead_to_the_pages_of_the_settings(
    app: Flask, environment: Mapping[str, str], mailbox: Mailbox, session: Session
) -> None:
    pages = {name: f"https://www.example.org/{name.lower()}" for name in ("EMAIL_VERIFICATION_URL", "EMAIL_CHANGE_URL")}
    user, verified = make_user(session, unverified_since=utc_now()), make_user(session)
    make_email_change(session, verified)

    with create_app({**environment, **mailbox.environment, **pages}).app_context():
        email_tasks.send_verification_mail(user.email)
        email_tasks.send_email_change_mail(verified.id, "old")

    links = re.findall(r"(\S+)#token=", "".join(message.get_content() for message in mailbox.messages))
    assert links == list(pages.values())


def test_operator_is_warned_that_every_account_counts_as_verified() -> None:
    environment = production_environment("postgresql://u:p@127.0.0.1/d", "redis://127.0.0.1/0")

    warnings = check_settings(environment, FEATURE_SETTINGS).warnings
    with_mail = check_settings({**environment, "MAIL_SERVER": "mail.example.org"}, FEATURE_SETTINGS).warnings

    assert "MAIL_SERVER is not set: no e-mail is sent, and every account counts as verified." in warnings
    assert not [warning for warning in with_mail if "verified" in warning]
