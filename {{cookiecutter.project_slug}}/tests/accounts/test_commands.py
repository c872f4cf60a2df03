"""`flask init-db` creates the first admin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app import create_app
from app.accounts.models import User
from app.audit.models import AuditLog
from app.platform.database.base import Model, db

ADMIN = {"ADMIN_EMAIL": "Root@example.org", "ADMIN_PASSWORD": "correct horse battery"}


def rows(app: Flask, model: type[Model]) -> list[sa.Row[Any]]:
    # Commands push their own app context, so none may be open around them.
    with app.app_context():
        return list(db.session.execute(sa.select(*model.__table__.columns).order_by("id")))


@pytest.mark.req("D4")
def test_init_db_creates_first_admin_only_once(
    app: Flask, environment: Mapping[str, str], audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    runner = create_app({**environment, **ADMIN}).test_cli_runner()

    first = runner.invoke(args=["init-db"])
    before, entries = rows(app, User), [entry.action for entry in audit_entries()]
    second = runner.invoke(args=["init-db"])

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "first admin created" in first.output
    assert "first admin exists already" in second.output
    assert rows(app, User) == before
    assert [(user.email, user.role) for user in before] == [("root@example.org", "admin")]
    assert entries == [entry.action for entry in audit_entries()] == ["user.registered"]


@pytest.mark.req("D4")
def test_init_db_rejects_address_that_registration_rejects(app: Flask, environment: Mapping[str, str]) -> None:
    runner = create_app({**environment, **ADMIN, "ADMIN_EMAIL": "root"}).test_cli_runner()

    result = runner.invoke(args=["init-db"])

    assert result.exit_code == 1
    assert "ADMIN_EMAIL: Not a valid email address." in result.output
    assert rows(app, User) == []


def test_init_db_reports_missing_admin_settings(app: Flask, environment: Mapping[str, str]) -> None:
    result = create_app(environment).test_cli_runner().invoke(args=["init-db"])

    assert result.exit_code == 0
    assert "ADMIN_EMAIL and ADMIN_PASSWORD are not set" in result.output
