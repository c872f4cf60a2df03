"""An entry of the audit log is committed together with the change that it records, for every action of the service."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.audit import service
from app.audit.models import AuditLog
from tests.accounts.factory import PASSWORD, bearer, make_user
from tests.environments import ROOT, SECRETS
from tests.route_calls import API, RouteCaller

# The table that the action changes; empty: nothing in the database changes, the entry records an event.
CHANGED_TABLE = {
    "user.registered": "users",
    "user.signed_in": "user_sessions",
    "user.signed_out": "user_sessions",
    "user.profile_changed": "users",
    "user.password_changed": "users",
    "user.password_reset": "users",
    "user.password_reset_forced": "users",
    "user.role_changed": "users",
    "user.erased": "erasures",
    "session.token_reused": "user_sessions",
    "api_key.created": "api_keys",
    "api_key.revoked": "api_keys",
    "api_keys.revoked": "api_keys",
    "data_file.added": "data_files",
    "data_file.deleted": "data_files",
    "test.started": "test_history",
    "encryption.reencrypted": "users",
    "user.data_exported": "",
    "user.sign_in_failed": "",
    "user.password_change_failed": "",
    "admin.read": "",
    "admin.refused": "",
    "audit.copy_replaced": "",
}
WRITE = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+[`\"]?(\w+)", re.IGNORECASE)
Transactions = dict[str, list[set[str]]]  # the tables written in each transaction, by the action of its entry


def recorded_actions() -> set[str]:
    """Return the actions that the source passes to `record`, also through a function `_record` of a feature."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "app").glob("*/*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > 1]
    return {action for call in calls if _name(call.func) in ("record", "_record") for action in _action(call.args[1])}


def _name(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _action(argument: ast.AST) -> Iterator[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
    elif _name(argument).isupper():
        yield getattr(service, _name(argument))


@contextmanager
def recorded_transactions() -> Iterator[Transactions]:
    """Yield the committed transactions of the `with` block that have an entry."""
    tables, actions = defaultdict[int, set[str]](set), defaultdict[int, set[str]](set)
    found: Transactions = defaultdict(list)

    def execute(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if written := WRITE.match(statement):
            tables[id(connection)].add(written[1].lower())

    def insert(_mapper: object, connection: sa.Connection, entry: AuditLog) -> None:
        actions[id(connection)].add(entry.action)

    def commit(connection: sa.Connection) -> None:
        for action in actions.pop(id(connection), ()):
            found[action].append(tables[id(connection)] - {"audit_logs"})
        tables.pop(id(connection), None)

    def rollback(connection: sa.Connection) -> None:
        for collected in (tables, actions):
            collected.pop(id(connection), None)

    listeners: list[tuple[Any, str, Any]] = [
        (sa.Engine, "before_cursor_execute", execute),
        (AuditLog, "after_insert", insert),
        (sa.Engine, "commit", commit),
        (sa.Engine, "rollback", rollback),
    ]
    for target, name, listener in listeners:
        sa.event.listen(target, name, listener)
    try:
        yield found
    finally:
        for target, name, listener in listeners:
            sa.event.remove(target, name, listener)


def cause_failures(app: Flask, session: Session) -> None:
    """Cause the entries that no successful request makes."""
    user, client = make_user(session), app.test_client()
    headers = bearer(app, user)
    wrong = {"email": user.email, "password": "not the password"}
    change = {"current_password": "not the password", "new_password": "another password 2"}
    client.post(f"{API}/auth/login", json=wrong)
    client.post(f"{API}/auth/change-password", json=change, headers=headers)
    client.get(f"{API}/admin/users", headers=headers)
    tokens = client.post(f"{API}/auth/login", json={**wrong, "password": PASSWORD}).get_json()
    for _ in range(3):
        client.post(f"{API}/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def run_commands(environment: Mapping[str, str], session: Session) -> None:
    """Run the commands that record an entry."""
    make_user(session, display_name="Ann")
    rotated = {"MASTER_ENCRYPTION_KEY": "Kp3v8sWq1Zt6yXn4Rb7mLd0cHf5gJa2e"}
    legacy = {"LEGACY_ENCRYPTION_KEYS": SECRETS["MASTER_ENCRYPTION_KEY"]}
    runner = create_app({**environment, **rotated, **legacy}).test_cli_runner()
    for command in (["keys", "rotate"], ["audit-log", "seal", "--replace-copy"]):
        result = runner.invoke(args=command)
        assert result.exit_code == 0, result.output


@pytest.mark.req("P4")
@pytest.mark.fault("F58", "F65")
def test_every_entry_is_committed_with_its_change(app: Flask, environment: Mapping[str, str], session: Session) -> None:
    with recorded_transactions() as transactions:
        RouteCaller(app, session, 1).call_all()
        cause_failures(app, session)
        run_commands(environment, session)

    assert recorded_actions() == set(CHANGED_TABLE), "add the action to CHANGED_TABLE, with the table that it changes"
    assert set(CHANGED_TABLE) - transactions.keys() == set(), "these actions were not caused: add a call that does"
    apart = {
        action: tables
        for action, written in transactions.items()
        for tables in written
        if (expected := CHANGED_TABLE.get(action)) and expected not in tables
    }
    assert not apart, "these entries were committed without the change: commit both together"
