"""Admins help users who lost access, but have no easier way into their own account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit.models import AuditLog
from tests.accounts.factory import bearer, make_totp, make_user
from tests.accounts.sign_in_flows import ME, sign_in
from tests.routes import routes
from tests.servers.smtp import Mailbox

pytestmark = pytest.mark.req("A5", "A10")

USERS = "/api/v1/admin/users"
RESET = "An admin removed the second factor of your account."
BODIES: dict[str, dict[str, Any]] = {"role": {"role": "admin"}, "change-email": {"email": "new@example.org"}}
AuditEntries = Callable[[], Sequence[AuditLog]]


def test_admins_cannot_do_to_themselves_what_takes_over_an_account(
    app: Flask, client: FlaskClient, session: Session
) -> None:
    admin = make_user(session, role="admin")
    headers = bearer(app, admin)
    found = {}
    for route in routes(app):
        if route.rule.rule.startswith(f"{USERS}/"):
            name = route.rule.rule.rpartition("/")[2]
            response = client.open(
                route.path(admin.id), method=route.method, json=BODIES.get(name, {}), headers=headers
            )
            found[name] = response.get_json().get("type")

    others = dict.fromkeys(("role", "unsuspend"))  # they give no access
    rejected = dict.fromkeys(("reset-password", "reset-totp", "change-email", "suspend"), "/problems/own-account")
    assert found == {**rejected, **others}
    assert client.get(ME, headers=headers).status_code == 200


def test_admin_removes_the_second_factor_of_a_user(
    mail_client: FlaskClient, mailbox: Mailbox, session: Session, user: User, audit_entries: AuditEntries
) -> None:
    make_totp(session, user)
    admin, app = make_user(session, role="admin"), mail_client.application
    headers, path = bearer(app, user), f"{USERS}/{user.id}/reset-totp"

    statuses = [mail_client.post(path, headers=bearer(app, admin)).status_code for _ in range(2)]

    assert statuses == [204, 204]
    assert mail_client.get(ME, headers=headers).status_code == 401
    assert "access_token" in sign_in(mail_client, user.email).get_json()
    (notice,) = mailbox.messages  # none about the second request, which changed nothing
    assert (notice["To"], notice.get_content().splitlines()[0]) == (user.email, RESET)
    (entry,) = [entry for entry in audit_entries() if entry.action == "user.totp_reset"]
    assert (entry.actor_id, entry.target_id) == (admin.id, str(user.id))
