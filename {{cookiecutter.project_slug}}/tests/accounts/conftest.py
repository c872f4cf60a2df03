"""A mail server, and an app that sends its e-mails to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from tests.servers.smtp import Mailbox, start_smtp


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with start_smtp() as mailbox:
        yield mailbox


@pytest.fixture
def mail_client(app: Flask, environment: Mapping[str, str], mailbox: Mailbox) -> FlaskClient:
    """A client of an app with a mail server, whose tasks run at once, and with limits that the tests do not reach."""
    limits = dict.fromkeys(("RATELIMIT_REGISTER", "RATELIMIT_LOGIN", "RATELIMIT_FORGOT_PASSWORD"), "100/minute")
    mail_app = create_app({**environment, **mailbox.environment, **limits})
    mail_app.extensions["celery"].conf.task_always_eager = True
    return mail_app.test_client()
