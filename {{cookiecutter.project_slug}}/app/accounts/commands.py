"""Accounts that `flask init-db` creates."""

from __future__ import annotations

from contextlib import suppress

import click
from flask import current_app
from marshmallow import ValidationError

from app.accounts import service
from app.accounts.email_addresses import InvalidEmail
from app.accounts.schemas import Registration
from app.accounts.settings import AccountsSettings
from app.platform.database.base import db
from app.platform.settings.declarations import settings_of
from app.platform.web.client_address import RequestOrigin

NO_ADMIN = (
    "no first admin created: the account of ADMIN_EMAIL exists and is no admin. Another admin can change its role "
    "(PUT /api/v1/admin/users/{id}/role), or use another ADMIN_EMAIL"
)


def create_first_admin() -> str:
    """Create the admin of `ADMIN_EMAIL` and `ADMIN_PASSWORD` unless the account exists.

    Returns a message for the operator. Raises `ClickException` if the e-mail or the password is invalid.
    """
    settings = settings_of(current_app, AccountsSettings)
    if not settings.ADMIN_EMAIL or not settings.ADMIN_PASSWORD:
        return "no first admin created: ADMIN_EMAIL and ADMIN_PASSWORD are not set"
    with suppress(InvalidEmail):  # which the next check reports
        if found := service.find_by_email(db.session(), settings.ADMIN_EMAIL):
            return "first admin exists already" if found.role == "admin" else NO_ADMIN
    try:
        account = Registration().load({"email": settings.ADMIN_EMAIL, "password": settings.ADMIN_PASSWORD})
    except ValidationError as error:
        texts = error.messages_dict.items()
        raise click.ClickException(
            "; ".join(f"ADMIN_{name.upper()}: {' '.join(text)}" for name, text in texts)
        ) from None
    service.register(db.session(), **account, role="admin", origin=RequestOrigin(None, "init-db"))
    return "first admin created"
