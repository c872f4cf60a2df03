"""The owner of an account gets a notice of each new API key."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from app.accounts.models import User
from tests.accounts.factory import bearer
from tests.servers import free_port
from tests.servers.smtp import Mailbox

pytestmark = pytest.mark.req("A10")


def create_key(app: Flask, user: User) -> TestResponse:
    body = {"name": "a key", "scopes": ["profile:read"]}
    return app.test_client().post("/api/v1/api-keys", headers=bearer(app, user), json=body)


def app_with_mail(environment: Mapping[str, str], **settings: str) -> Flask:
    """Return an app with a mail server; without Redis, tasks run in the request."""
    return create_app({**{name: value for name, value in environment.items() if name != "REDIS_URL"}, **settings})


@pytest.mark.usefixtures("app")  # which migrates the database
def test_new_key_is_announced_to_the_owner(environment: Mapping[str, str], mailbox: Mailbox, user: User) -> None:
    response = create_key(app_with_mail(environment, **mailbox.environment), user)

    mail = mailbox.wait()
    assert response.status_code == 201
    assert mail["To"] == user.email
    assert mail.get_content().startswith("An API key was created.")
    assert "fsk_" not in mail.get_content()


@pytest.mark.usefixtures("app")
def test_key_is_created_if_nothing_can_be_sent(environment: Mapping[str, str], user: User) -> None:
    unreachable = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(free_port()), "MAIL_USE_TLS": "false"}

    assert create_key(app_with_mail(environment, **unreachable), user).status_code == 201
