"""A change of the e-mail is confirmed at both addresses, and happens at once without a mail server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts import email_tasks, service
from app.accounts.models import EmailChange, User
from app.audit.models import AuditLog
from app.platform.database.base import utc_now
from app.platform.security import tokens
from tests.accounts.email_change_flows import NEW, change, confirm, links
from tests.accounts.factory import bearer, make_email_change, make_user
from tests.accounts.sign_in_flows import ME, post, sign_in
from tests.servers.smtp import Mailbox

pytestmark = pytest.mark.req("A10", "P3")

AuditEntries = Callable[[], Sequence[AuditLog]]


@pytest.mark.parametrize("order", [1, -1])
def test_change_needs_the_links_of_both_emails(
    mail_client: FlaskClient, mailbox: Mailbox, user: User, audit_entries: AuditEntries, order: int
) -> None:
    old, app = user.email, mail_client.application
    current, other = bearer(app, user), bearer(app, user)

    asked = change(mail_client, current)
    first, second = links(mailbox, old, NEW)[::order]
    statuses = [confirm(mail_client, first).status_code, sign_in(mail_client, NEW).status_code]
    statuses.append(confirm(mail_client, second).status_code)

    assert (asked.status_code, statuses) == (202, [200, 401, 200])
    assert [sign_in(mail_client, email).status_code for email in (old, NEW)] == [401, 200]
    assert [mail_client.get(ME, headers=headers).status_code for headers in (current, other)] == [200, 401]
    recorded = [entry for entry in audit_entries() if entry.action.startswith("user.email")]
    assert [entry.action for entry in recorded] == ["user.email_change_requested", "user.email_changed"]
    assert not any("@" in str(vars(entry)) for entry in recorded)


def test_old_address_gets_a_notice_of_the_change(mail_client: FlaskClient, mailbox: Mailbox, user: User) -> None:
    old = user.email
    change(mail_client, bearer(mail_client.application, user))
    both = links(mailbox, old, NEW)
    before = len(mailbox.messages)

    for token in both:
        confirm(mail_client, token)

    (notice,) = mailbox.messages[before:]
    assert notice["To"] == old
    assert notice.get_content().startswith("The e-mail address of your account was changed.")
    assert NEW not in notice.get_content()


def test_concurrent_confirmations_change_the_email_once(
    mail_client: FlaskClient, mailbox: Mailbox, user: User, audit_entries: AuditEntries
) -> None:
    old, app = user.email, mail_client.application
    change(mail_client, bearer(app, user))
    both = links(mailbox, old, NEW)

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda token: confirm(app.test_client(), token).status_code, both * 2))
    for token in both:  # SQLite does not wait for a lock: a request may have failed with 503
        confirm(mail_client, token)

    assert set(statuses) <= {200, 401, 503}
    assert sign_in(mail_client, NEW).status_code == 200
    assert [entry.action for entry in audit_entries()].count("user.email_changed") == 1


def test_links_are_valid_once(mail_client: FlaskClient, mailbox: Mailbox, user: User) -> None:
    change(mail_client, bearer(mail_client.application, user))
    (token,) = links(mailbox, NEW)

    assert [confirm(mail_client, token).status_code for _ in range(2)] == [200, 401]


def test_newer_change_replaces_the_earlier_one(mail_client: FlaskClient, mailbox: Mailbox, user: User) -> None:
    headers, old = bearer(mail_client.application, user), user.email
    change(mail_client, headers)
    earlier = links(mailbox, old, NEW)
    change(mail_client, headers, "newer@example.org")

    assert [confirm(mail_client, token).status_code for token in earlier] == [401, 401]
    assert [confirm(mail_client, token).status_code for token in links(mailbox, old, "newer@example.org")] == [200, 200]
    assert sign_in(mail_client, "newer@example.org").status_code == 200


def test_change_does_not_reveal_an_account(
    mail_client: FlaskClient, mailbox: Mailbox, user: User, other_user: User
) -> None:
    headers = bearer(mail_client.application, user)

    free, taken = change(mail_client, headers), change(mail_client, headers, other_user.email)
    confirmed = confirm(mail_client, links(mailbox, other_user.email)[0])

    assert (free.status_code, free.get_json()) == (taken.status_code, taken.get_json())
    assert confirmed.status_code == 409
    assert confirm(mail_client, links(mailbox, user.email)[0]).status_code == 401


def test_address_that_is_taken_meanwhile_ends_the_change(
    mail_client: FlaskClient, mailbox: Mailbox, session: Session, user: User
) -> None:
    old = user.email
    change(mail_client, bearer(mail_client.application, user))
    old_token, new_token = links(mailbox, old, NEW)
    confirm(mail_client, new_token)
    make_user(session, email=NEW)

    assert confirm(mail_client, old_token).status_code == 409
    assert sign_in(mail_client, old).status_code == 200
    assert session.scalars(sa.select(EmailChange)).all() == []


@pytest.mark.parametrize("order", [1, -1])
def test_unverified_account_does_not_block_the_owner_of_the_address(
    mail_client: FlaskClient, mailbox: Mailbox, session: Session, user: User, audit_entries: AuditEntries, order: int
) -> None:
    change(mail_client, bearer(mail_client.application, user))
    both = links(mailbox, user.email, NEW)[::order]
    squatter = make_user(session, email=NEW, unverified_since=utc_now())
    squatter_id, headers = squatter.id, bearer(mail_client.application, squatter, verified=False)

    assert [confirm(mail_client, token).status_code for token in both] == [200, 200]
    assert session.scalars(sa.select(User.email)).all() == [NEW]
    assert mail_client.get(ME, headers=headers).status_code == 401
    erased = [entry for entry in audit_entries() if entry.action == "user.erased"]
    assert [(entry.actor_id, entry.target_id) for entry in erased] == [(None, str(squatter_id))]


@pytest.mark.parametrize("fields", [{"role": "admin"}, {"suspended_at": utc_now()}], ids=["admin", "suspended"])
def test_other_unverified_accounts_keep_their_address(
    mail_client: FlaskClient, mailbox: Mailbox, session: Session, user: User, fields: dict[str, object]
) -> None:
    make_user(session, email=NEW, unverified_since=utc_now(), **fields)
    change(mail_client, bearer(mail_client.application, user))

    assert confirm(mail_client, links(mailbox, NEW)[0]).status_code == 409


def test_wrong_password_changes_nothing(
    mail_client: FlaskClient, mailbox: Mailbox, user: User, audit_entries: AuditEntries
) -> None:
    headers = bearer(mail_client.application, user)
    responses = [change(mail_client, headers, password="wrong") for _ in range(6)]

    assert [response.status_code for response in responses] == [403] * 5 + [429]
    assert mailbox.messages == []
    assert {entry.action for entry in audit_entries()} == {"user.password_check_failed"}


def test_same_address_is_rejected(client: FlaskClient, user: User, headers: dict[str, str]) -> None:
    assert change(client, headers, user.email).status_code == 422


def test_invalid_links_are_rejected(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    other = make_email_change(session, make_user(session)).link_id
    link = make_email_change(session, user).link_id
    with app.app_context():
        invalid = {
            "expired": tokens.sign(tokens.EMAIL_CHANGE, user.id, -10, link=link, side="new"),
            "of another change": tokens.sign(tokens.EMAIL_CHANGE, user.id, 60, link=other, side="new"),
            "of no change": tokens.sign(tokens.EMAIL_CHANGE, user.id + 1000, 60, link=link, side="new"),
            "without link": tokens.sign(tokens.EMAIL_CHANGE, user.id, 60, side="new"),
        }

    assert {name: confirm(client, token).status_code for name, token in invalid.items()} == dict.fromkeys(invalid, 401)


def test_erasure_ends_a_change(mail_client: FlaskClient, mailbox: Mailbox, session: Session, user: User) -> None:
    headers, old = bearer(mail_client.application, user), user.email
    change(mail_client, headers)
    found = links(mailbox, old, NEW)

    assert mail_client.delete(ME, headers=headers).status_code == 204
    assert [confirm(mail_client, token).status_code for token in found] == [401, 401]
    assert session.scalars(sa.select(EmailChange)).all() == []


def test_links_to_the_old_address_end_with_the_change(app: Flask, client: FlaskClient, user: User) -> None:
    with app.app_context():
        reset = tokens.sign(tokens.RESET, user.id, 60, fingerprint=service.password_fingerprint(user))
    assert change(client, bearer(app, user)).status_code == 200

    body = {"token": reset, "new_password": "a long enough password"}
    assert post(client, "reset-password", body).status_code == 401


def test_without_a_mail_server_the_change_happens_at_once(
    app: Flask, client: FlaskClient, user: User, other_user: User
) -> None:
    current, other = bearer(app, user), bearer(app, user)

    taken, changed = change(client, current, other_user.email), change(client, current)

    assert (taken.status_code, changed.status_code) == (409, 200)
    assert client.get(ME, headers=current).get_json()["email"] == NEW
    assert client.get(ME, headers=other).status_code == 401


def test_admin_changes_an_email_with_the_link_of_the_new_one_only(
    mail_client: FlaskClient, mailbox: Mailbox, session: Session, user: User, audit_entries: AuditEntries
) -> None:
    admin, app, old = make_user(session, role="admin"), mail_client.application, user.email
    session_of_user, path = bearer(app, user), f"/api/v1/admin/users/{user.id}/change-email"

    asked = mail_client.post(path, json={"email": NEW}, headers=bearer(app, admin))
    notices = [message for message in mailbox.messages if message["To"] == old]
    confirmed = confirm(mail_client, links(mailbox, NEW)[0])

    assert (asked.status_code, confirmed.status_code) == (202, 200)
    assert ["An admin asked for a new e-mail" in notice.get_content() for notice in notices] == [True]
    assert mail_client.get(ME, headers=session_of_user).status_code == 401
    assert sign_in(mail_client, NEW).status_code == 200
    (request,) = [entry for entry in audit_entries() if entry.action == "user.email_change_requested"]
    assert (request.actor_id, request.target_id) == (admin.id, str(user.id))


def test_unconfirmed_changes_are_deleted(app: Flask, session: Session, user: User, other_user: User) -> None:
    old, new = make_email_change(session, user), make_email_change(session, other_user)
    old.created_at = utc_now() - timedelta(hours=25)
    session.commit()

    with app.app_context():
        email_tasks.delete_unconfirmed()

    session.expire_all()
    assert session.scalars(sa.select(EmailChange.id)).all() == [new.id]
