"""Another transaction deletes rows between the reads and the writes of a request, which is never answered by a 500."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.platform.database.base import db
from tests.accounts.factory import PASSWORD, make_user
from tests.accounts.samples import create_reset_body
from tests.route_calls import API, RouteCaller

pytestmark = [pytest.mark.req("S5", "A10"), pytest.mark.fault("F61")]

WRITES = ("INSERT", "UPDATE", "DELETE")
MAX_WRITES = 2  # of a request, before which rows are deleted
EXPECTED = {401, 403, 404, 409}
# The other transaction does not wait for the locks of the request: what is locked cannot be deleted.
NO_WAIT = {"postgresql": "SET LOCAL lock_timeout = 20", "mysql": "SET innodb_lock_wait_timeout = 0"}


def conditions(user_id: int) -> dict[str, tuple[sa.Table, Any]]:
    """Return the rows to delete, by a name: a user, users that a test created later, and the user's in each table."""
    users = User.__table__
    assert isinstance(users, sa.Table)
    tables = db.metadata.sorted_tables
    owned = [table for table in tables if any(key.column is users.c.id for key in table.foreign_keys)]
    return {
        "the user": (users, users.c.id == user_id),
        "users created later": (users, users.c.id > user_id),
        **{table.name: (table, table.c.user_id == user_id) for table in owned},
    }


class OtherTransaction:
    """Deletes rows before a write of a request."""

    def __init__(self, app: Flask) -> None:
        with app.app_context():
            self._engine = db.engine
        arguments = {"timeout": 0} if self._engine.dialect.name == "sqlite" else {}
        self._other = sa.create_engine(self._engine.url, poolclass=sa.NullPool, connect_args=arguments)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._other, "connect", _enforce_foreign_keys)
        self.reached = False  # whether the request came to the write

    @contextmanager
    def deletes(self, table: sa.Table, rows: Any, write: int) -> Iterator[None]:
        """Delete rows before the write with this number, of the requests in the `with` block."""
        writes, self.reached = 0, False

        def delete(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            nonlocal writes
            writes += statement.lstrip().startswith(WRITES)
            if writes == write and not self.reached:
                self.reached = True
                self._delete(table, rows)

        sa.event.listen(self._engine, "before_cursor_execute", delete)
        try:
            yield
        finally:
            sa.event.remove(self._engine, "before_cursor_execute", delete)

    def _delete(self, table: sa.Table, rows: Any) -> None:
        try:
            with self._other.begin() as connection:
                if statement := NO_WAIT.get(connection.dialect.name):
                    connection.exec_driver_sql(statement)
                connection.execute(sa.delete(table).where(rows))
        except OperationalError:
            pass  # the request has locked a row: nothing was deleted


def _enforce_foreign_keys(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


@dataclass
class RacingCaller(RouteCaller):
    """Calls each route of a user again for new users, whose rows another transaction deletes meanwhile."""

    def call(self, method: str, rule: str, user: User | None = None, **options: Any) -> Any:
        if user:
            self._race_all(method, rule, user, options)
        return super().call(method, rule, user, **options)

    def _race_all(self, method: str, rule: str, user: User, options: dict[str, Any]) -> None:
        for name in conditions(user.id):
            for write in range(1, MAX_WRITES + 1):
                if not self._race(name, write, method, rule, user.role, **_copied(options)):
                    break
            if write == 1:
                return  # the route writes nothing, whatever is deleted

    def _race(self, name: str, write: int, method: str, rule: str, role: str, **options: Any) -> bool:
        """Send one request; return whether it came to the write."""
        user, other = self.user(role), OtherTransaction(self.app)
        make_user(self.session, role="admin")  # so the deleted one is not the last one
        path, headers = self.prepare(rule, user)
        table, rows = conditions(user.id)[name]
        with other.deletes(table, rows, write):
            response = self.app.test_client().open(path, method=method, headers=headers, **options)
        self.session.rollback()
        assert response.status_code < 400 or response.status_code in EXPECTED, (
            method,
            rule,
            name,
            write,
            response.text,
        )
        self.called.add(f"{method} {rule}: {name}")
        return other.reached


def _copied(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a request with a copy of its file, which a request closes, and with an unused e-mail."""
    if "email" in options.get("json", {}):
        return {**options, "json": {**options["json"], "email": f"{uuid.uuid4().hex}@example.org"}}
    if "data" not in options:
        return options
    file, name = options["data"]["file"]
    return {**options, "data": {"file": (io.BytesIO(file.getvalue()), name)}}


def test_deleted_rows_cause_no_server_error(app_without_limits: Flask, app: Flask, session: Session) -> None:
    del app
    caller = RacingCaller(app_without_limits, session, 1)

    caller.call_all()

    assert any(": the user" in call for call in caller.called)


@pytest.mark.parametrize("path", ["login", "refresh", "forgot-password", "reset-password"])
def test_account_deleted_during_a_public_request_causes_no_server_error(
    app_without_limits: Flask, app: Flask, session: Session, path: str
) -> None:
    del app
    client = app_without_limits.test_client()
    for write in range(1, MAX_WRITES + 1):
        user = make_user(session)
        login = {"email": user.email, "password": PASSWORD}
        body: dict[str, Any] = {"login": login, "forgot-password": {"email": user.email}}.get(path, {})
        if path == "refresh":
            body = {"refresh_token": client.post(f"{API}/auth/login", json=login).get_json()["refresh_token"]}
        if path == "reset-password":
            with app_without_limits.app_context():
                body = {**create_reset_body(app_without_limits, session, user), "new_password": "another password 2"}
        table, rows = conditions(user.id)["the user"]
        with OtherTransaction(app_without_limits).deletes(table, rows, write):
            response = client.post(f"{API}/auth/{path}", json=body)
        session.rollback()

        assert response.status_code < 400 or response.status_code in EXPECTED, (path, write, response.text)
