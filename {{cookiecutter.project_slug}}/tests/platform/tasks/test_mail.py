"""Mails as the server receives them."""

from __future__ import annotations

import logging
import smtplib

import pytest

from app.platform.settings.declarations import Settings
from app.platform.tasks import mail
from tests.servers.smtp import start_smtp

pytestmark = pytest.mark.req("W1")


def settings(**values: object) -> Settings:
    return Settings(SECRET_KEY="x" * 32, **values)  # type: ignore[arg-type] # declared types


def test_mail_has_the_headers_that_receivers_expect() -> None:
    with start_smtp() as mailbox:
        options = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": mailbox.port, "MAIL_USE_TLS": False}
        mail.send(
            settings(**options, MAIL_DEFAULT_SENDER="Service <no-reply@service.example.org>"),
            recipient="ann@example.org",
            subject="Subject",
            text="Text",
        )
        message = mailbox.wait()

    assert message["From"] == "Service <no-reply@service.example.org>"
    assert (message["To"], message["Subject"], message.get_content().strip()) == ("ann@example.org", "Subject", "Text")
    assert message["Date"].datetime.tzinfo is not None  # RFC 5322: -0000 says nothing about the zone
    assert message["Message-ID"].endswith("@service.example.org>")
    assert message["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("option", ["MAIL_USE_TLS", "MAIL_USE_SSL"])
def test_server_without_encryption_is_an_error(option: str) -> None:
    encryption = {"MAIL_USE_TLS": False, option: True}
    with start_smtp() as mailbox:
        options = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": mailbox.port, **encryption}
        with pytest.raises(mail.RETRYABLE_ERRORS):
            mail.send(settings(**options), recipient="ann@example.org", subject="S", text="T")

    assert mailbox.messages == []


def test_login_needs_a_server_that_supports_it() -> None:
    with start_smtp() as mailbox:
        account = {"MAIL_USERNAME": "ann", "MAIL_PASSWORD": "secret"}
        options = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": mailbox.port, "MAIL_USE_TLS": False, **account}
        with pytest.raises(smtplib.SMTPException):
            mail.send(settings(**options), recipient="ann@example.org", subject="S", text="T")

    assert mailbox.messages == []


def test_without_a_server_a_warning_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        mail.send(settings(), recipient="ann@example.org", subject="Subject", text="T")

    assert [(record.levelname, vars(record)["subject"]) for record in caplog.records] == [("WARNING", "Subject")]
