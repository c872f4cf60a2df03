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
from app.accounts import email_changes, second_factor, verification
from app.audit import seals, service
from app.audit.models import AuditLog
from app.audit.seals import SealSigner
from app.platform.database.base import db
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import PASSWORD, bearer, current_code, make_totp, make_user
from tests.environments import ROOT, SECRETS
from tests.route_calls import API, RouteCaller
from tests.samples import audit_actions

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
def recorded_transactions(app: Flask, found: Transactions) -> Iterator[None]:
    """Add to `found` the transactions that the app commits in the `with` block and that have an entry."""
    tables, actions = defaultdict[int, set[str]](set), defaultdict[int, set[str]](set)
    with app.app_context():
        engine = db.engine

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
        (engine, "before_cursor_execute", execute),
        (AuditLog, "after_insert", insert),
        (engine, "commit", commit),
        (engine, "rollback", rollback),
    ]
    for target, name, listener in listeners:
        sa.event.listen(target, name, listener)
    try:
        yield
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


def cause_changes_of_accounts(app: Flask, session: Session) -> None:
    """Cause the entries of suspensions, recovery codes, and e-mails that wait for their confirmation."""
    admin, user, client = make_user(session, role="admin"), make_user(session), app.test_client()
    headers, user_id, email = bearer(app, admin), user.id, user.email
    client.post(f"{API}/admin/users/{user_id}/suspend", headers=headers)
    client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD})
    client.post(f"{API}/admin/users/{user_id}/unsuspend", headers=headers)
    origin = RequestOrigin(None, "a-test")
    secret = make_totp(session, user, confirmed=False)
    with app.app_context():
        own = db.session()
        email_changes.request_change(own, user_id, "new@example.org", actor_id=user_id, session_id=None, origin=origin)
        codes, _ = second_factor.confirm(own, user_id, current_code(secret), session_id=None, origin=origin)
        second_factor.disable(own, user_id, None, codes[0], origin=origin)
        for password in ("a long enough password", "another long password"):
            verification.register(own, email="again@example.org", password=password, origin=origin)


def run_commands(environment: Mapping[str, str], session: Session, found: Transactions) -> None:
    """Run the commands that record an entry; adds their transactions to `found`."""
    make_user(session, display_name="Ann")
    rotated = {"MASTER_ENCRYPTION_KEY": "Kp3v8sWq1Zt6yXn4Rb7mLd0cHf5gJa2e"}
    legacy = {"LEGACY_ENCRYPTION_KEYS": SECRETS["MASTER_ENCRYPTION_KEY"]}
    own, earlier = SealSigner([SECRETS["MASTER_ENCRYPTION_KEY"]]).current, seals.newest_link(session).key_id
    commands: list[tuple[str, Mapping[str, str]]] = [
        ("keys rotate", {**rotated, **legacy}),
        (f"audit-log seal --replace-copy --accept-key {earlier or own}", {}),  # a database may be older than the run
        (f"audit-log seal --accept-key {own}", {}),
    ]
    for command, settings in commands:
        app = create_app({**environment, **settings})
        with recorded_transactions(app, found):
            result = app.test_cli_runner().invoke(args=command)
            assert result.exit_code == 0, result.output


@pytest.mark.req("P4")
@pytest.mark.fault("F58", "F65")
def test_every_entry_is_committed_with_its_change(app: Flask, environment: Mapping[str, str], session: Session) -> None:
    transactions: Transactions = defaultdict(list)
    with recorded_transactions(app, transactions):
        RouteCaller(app, session, 1).call_all()
        cause_failures(app, session)
        cause_changes_of_accounts(app, session)
    run_commands(environment, session, transactions)

    changed = audit_actions()
    assert recorded_actions() - set(changed) == set(), "add them to AUDIT_ACTIONS in tests/<feature>/samples.py"
    assert set(changed) - transactions.keys() == set(), "these actions were not caused: add a call that does"
    apart = {
        action: tables
        for action, written in transactions.items()
        for tables in written
        if (expected := changed.get(action)) and tables.isdisjoint(expected.split("|"))
    }
    assert not apart, "these entries were committed without the change: commit both together"
