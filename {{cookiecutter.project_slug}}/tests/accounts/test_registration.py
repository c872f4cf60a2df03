"""An address that is registered again before its confirmation: only the owner of the mailbox gets the account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts.models import User
from app.audit.models import AuditLog
from app.platform.database.base import utc_now
from app.platform.security import passwords
from tests.accounts.factory import make_user
from tests.accounts.sign_in_flows import ME, as_header, link_token, post, sign_in
from tests.servers.smtp import Mailbox

pytestmark = pytest.mark.req("A10")

EMAIL = "victim@example.org"
OF_STRANGER, OF_OWNER, CHOSEN = "the password of a stranger", "the password of the owner", "another long password"
AuditEntries = Callable[[], Sequence[AuditLog]]


def register(client: FlaskClient, password: str, email: str = EMAIL, name: str | None = None) -> TestResponse:
    body = {"email": email, "password": password, **({"display_name": name} if name else {})}
    return post(client, "register", body)


def set_password(client: FlaskClient, token: str, password: str = CHOSEN) -> TestResponse:
    return post(client, "reset-password", {"token": token, "new_password": password})


@pytest.mark.parametrize("order", [1, -1], ids=["the stranger first", "the owner first"])
def test_stranger_gets_no_access_to_the_account_of_the_owner(
    mail_client: FlaskClient, mailbox: Mailbox, session: Session, order: int
) -> None:
    first, second = (OF_STRANGER, OF_OWNER)[::order]
    register(mail_client, first, name="A name")
    earlier = sign_in(mail_client, EMAIL, first).get_json()
    register(mail_client, second, name="Another name")
    links = [link_token(mailbox.messages[0], "verify-email"), link_token(mailbox.messages[1], "reset-password")]

    opened = [post(mail_client, "verify-email", {"token": links[0]}), set_password(mail_client, links[1])]

    assert [response.status_code for response in opened] == [401, 204]
    statuses = {password: sign_in(mail_client, EMAIL, password).status_code for password in (first, second, CHOSEN)}
    assert statuses == {first: 401, second: 401, CHOSEN: 200}
    assert mail_client.get(ME, headers=as_header(earlier)).status_code == 401
    assert post(mail_client, "refresh", {"refresh_token": earlier["refresh_token"]}).status_code == 401
    user = session.scalars(sa.select(User)).one()
    assert (user.display_name, user.unverified_since) == (None, None)


def test_no_password_is_valid_before_the_link_is_opened(mail_client: FlaskClient, mailbox: Mailbox) -> None:
    for password in (OF_STRANGER, OF_OWNER, OF_STRANGER):
        register(mail_client, password)

    guesses = (OF_STRANGER, OF_OWNER, "not the password of any user")
    assert {sign_in(mail_client, EMAIL, password).status_code for password in guesses} == {401}
    post(mail_client, "resend-verification", {"email": EMAIL})
    tokens = [link_token(message, "reset-password") for message in mailbox.messages[1:]]
    assert [set_password(mail_client, token).status_code for token in tokens] == [204, 401, 401]


def test_same_password_again_sends_the_link_again(
    mail_client: FlaskClient, mailbox: Mailbox, audit_entries: AuditEntries
) -> None:
    for _ in range(2):
        register(mail_client, OF_OWNER)
    tokens = [link_token(message, "verify-email") for message in mailbox.messages]

    assert [post(mail_client, "verify-email", {"token": token}).status_code for token in tokens[::-1]] == [204, 401]
    assert sign_in(mail_client, EMAIL, OF_OWNER).status_code == 200
    assert "user.registered_again" not in [entry.action for entry in audit_entries()]


def test_second_registration_is_audited(mail_client: FlaskClient, audit_entries: AuditEntries) -> None:
    for password in (OF_STRANGER, OF_OWNER):
        register(mail_client, password)

    first, second = audit_entries()
    assert (first.action, second.action) == ("user.registered", "user.registered_again")
    assert (second.actor_id, second.target_id) == (None, first.target_id)


def test_verified_and_suspended_accounts_stay_as_they_are(
    mail_client: FlaskClient, session: Session, user: User
) -> None:
    suspended = make_user(session, unverified_since=utc_now(), suspended_at=utc_now())
    before = [account.password_hash for account in (user, suspended)]

    statuses = [register(mail_client, OF_STRANGER, account.email).status_code for account in (user, suspended)]

    session.expire_all()
    assert statuses == [202, 202]
    assert [account.password_hash for account in (user, suspended)] == before


def test_concurrent_registrations_leave_no_password(mail_client: FlaskClient, session: Session) -> None:
    app = mail_client.application

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda password: register(app.test_client(), password), (OF_STRANGER, OF_OWNER)))
    for password in (OF_STRANGER, OF_OWNER):  # SQLite does not wait for a lock: a request may have failed with 503
        register(mail_client, password)

    assert session.scalars(sa.select(User.password_hash)).all() == [""]


class CountingHasher(PasswordHasher):
    """Counts the hashes that it computes."""

    computed = 0

    def hash(self, *args: Any, **kwargs: Any) -> str:
        self.computed += 1
        return super().hash(*args, **kwargs)

    def verify(self, *args: Any, **kwargs: Any) -> Any:
        self.computed += 1
        return super().verify(*args, **kwargs)


def test_response_and_cost_do_not_show_which_accounts_exist(
    mail_client: FlaskClient, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    unverified = make_user(session, unverified_since=utc_now()).email
    hasher = CountingHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    found, costs = set(), []

    for email in ("new@example.org", user.email, unverified, unverified):
        before, response = hasher.computed, register(mail_client, OF_OWNER, email)
        found.add((response.status_code, response.text))
        costs.append(hasher.computed - before)

    assert len(found) == 1
    assert costs == [1, 1, 1, 1]
