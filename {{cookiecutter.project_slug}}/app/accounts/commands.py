"""Accounts made from the command line."""

from __future__ import annotations

import click
from flask import current_app

from app.accounts import service
from app.accounts.schemas import Registration
from app.audit.service import Origin
from app.database import db
from app.settings import settings_of


def make_first_admin() -> str:
    """Make the admin of `ADMIN_EMAIL` and `ADMIN_PASSWORD` unless there is that account; says what was done."""
    settings = settings_of(current_app)
    if not settings.ADMIN_EMAIL or not settings.ADMIN_PASSWORD:
        return "no first admin: ADMIN_EMAIL and ADMIN_PASSWORD are not set"
    given = {"email": settings.ADMIN_EMAIL, "password": settings.ADMIN_PASSWORD}
    if errors := Registration().validate(given):
        faults = "; ".join(f"ADMIN_{name.upper()}: {' '.join(texts)}" for name, texts in errors.items())
        raise click.ClickException(faults)
    email = settings.ADMIN_EMAIL.lower()
    if service.find(db.session(), email):
        return "first admin: there already"
    service.register(
        db.session(), email=email, password=settings.ADMIN_PASSWORD, role="admin", origin=Origin(None, "init-db")
    )
    return "first admin: made"
