"""The first admin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app import create_app
from app.accounts.models import User
from app.audit.models import AuditLog
from app.database import Model, db

ADMIN = {"ADMIN_EMAIL": "Root@example.org", "ADMIN_PASSWORD": "correct horse battery"}


def rows(app: Flask, model: type[Model]) -> list[sa.Row[Any]]:
    # The commands bring their own context, so none may be open around them.
    with app.app_context():
        return list(db.session.execute(sa.select(*model.__table__.columns).order_by("id")))


@pytest.mark.req("D4")
def test_init_db_makes_the_first_admin_and_changes_nothing_the_second_time(
    app: Flask, environment: Mapping[str, str], audited: Callable[[], Sequence[AuditLog]]
) -> None:
    runner = create_app({**environment, **ADMIN}).test_cli_runner()

    first = runner.invoke(args=["init-db"])
    before, entries = rows(app, User), [entry.action for entry in audited()]
    second = runner.invoke(args=["init-db"])

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "first admin: made" in first.output
    assert "first admin: there already" in second.output
    assert rows(app, User) == before
    assert [(user.email, user.role) for user in before] == [("root@example.org", "admin")]
    assert entries == [entry.action for entry in audited()] == ["user.registered"]


@pytest.mark.req("D4")
def test_init_db_refuses_a_password_that_nobody_could_register_with(app: Flask, environment: Mapping[str, str]) -> None:
    runner = create_app({**environment, **ADMIN, "ADMIN_PASSWORD": "short"}).test_cli_runner()

    result = runner.invoke(args=["init-db"])

    assert result.exit_code == 1
    assert "ADMIN_PASSWORD: Must have from 10 to 128 characters." in result.output
    assert rows(app, User) == []


def test_init_db_without_an_admin_says_so(app: Flask, environment: Mapping[str, str]) -> None:
    result = create_app(environment).test_cli_runner().invoke(args=["init-db"])

    assert result.exit_code == 0
    assert "ADMIN_EMAIL and ADMIN_PASSWORD are not set" in result.output
