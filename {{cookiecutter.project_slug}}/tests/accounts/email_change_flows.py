"""Requests of the flows of a change of the e-mail."""

from __future__ import annotations

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.accounts.factory import PASSWORD
from tests.accounts.sign_in_flows import link_token, post
from tests.servers.smtp import Mailbox

NEW = "changed@example.org"


def change(client: FlaskClient, headers: dict[str, str], email: str = NEW, password: str = PASSWORD) -> TestResponse:
    return post(client, "change-email", {"email": email, "current_password": password}, headers)


def links(mailbox: Mailbox, *recipients: str) -> list[str]:
    """Return the tokens of the last e-mails with a link to these addresses."""
    with_link = [message for message in mailbox.messages if "#token=" in message.get_content()]
    by_recipient = {message["To"]: link_token(message, "confirm-email") for message in with_link}
    return [by_recipient[recipient] for recipient in recipients]


def confirm(client: FlaskClient, token: str) -> TestResponse:
    return post(client, "confirm-email", {"token": token})
