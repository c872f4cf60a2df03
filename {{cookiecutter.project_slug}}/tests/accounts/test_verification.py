"""New accounts confirm their e-mail where the service sends e-mails; until then they may do little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts import email_tasks, verification
from app.accounts.models import User, UserSession
from app.audit.models import AuditLog
from app.platform.database.base import utc_now
from app.platform.security import tokens
from tests.accounts.factory import PASSWORD, bearer, make_session, make_user
from tests.accounts.samples import OBJECTS
from tests.accounts.sign_in_flows import ACTIVE, AUTH, ME, as_header, link_token, post, sign_in
from tests.routes import Route, routes
from tests.samples import objects
from tests.servers.smtp import Mailbox

pytestmark = pytest.mark.req("A10")

NEW = {"email": "new@example.org", "password": "a long enough password"}
AuditEntries = Callable[[], Sequence[AuditLog]]


def verification_token(app: Flask, user: User, seconds: int = 60) -> str:
    with app.app_context():
        return tokens.sign(tokens.VERIFICATION, user.id, seconds, fingerprint=verification.fingerprint(user))


def test_account_is_verified_by_the_link_of_the_email(
    mail_client: FlaskClient, mailbox: Mailbox, audit_entries: AuditEntries
) -> None:
    registered = post(mail_client, "register", NEW)
    signed_in = sign_in(mail_client, NEW["email"], NEW["password"]).get_json()
    before = [mail_client.get(path, headers=as_header(signed_in)) for path in (ME, ACTIVE)]

    verified = post(mail_client, "verify-email", {"token": link_token(mailbox.wait(), "verify-email")})
    refreshed = post(mail_client, "refresh", {"refresh_token": signed_in["refresh_token"]}).get_json()

    assert (registered.status_code, verified.status_code) == (202, 204)
    assert [response.status_code for response in before] == [200, 403]
    assert "Confirm your e-mail address" in before[1].get_json()["message"]
    assert mail_client.get(ACTIVE, headers=as_header(refreshed)).status_code == 200
    assert "user.email_verified" in [entry.action for entry in audit_entries()]


def test_registration_does_not_reveal_an_account(mail_client: FlaskClient, mailbox: Mailbox, user: User) -> None:
    free = post(mail_client, "register", NEW)
    taken = post(mail_client, "register", {**NEW, "email": user.email})

    assert (free.status_code, free.get_json()) == (taken.status_code, taken.get_json())
    assert [message["To"] for message in mailbox.messages] == [NEW["email"], user.email]
    assert "you have one already" in mailbox.messages[1].get_content()
    assert "#token=" not in mailbox.messages[1].get_content()
    assert sign_in(mail_client, user.email, NEW["password"]).status_code == 401


def test_link_is_valid_once(app: Flask, client: FlaskClient, session: Session) -> None:
    body = {"token": verification_token(app, make_user(session, unverified_since=utc_now()))}

    assert [post(client, "verify-email", body).status_code for _ in range(2)] == [204, 401]


def test_invalid_links_are_rejected(app: Flask, client: FlaskClient, session: Session, other_user: User) -> None:
    user = make_user(session, unverified_since=utc_now())
    fingerprint = verification.fingerprint(user)
    with app.app_context():
        invalid = {
            "expired": tokens.sign(tokens.VERIFICATION, user.id, -10, fingerprint=fingerprint),
            "of another user": tokens.sign(tokens.VERIFICATION, other_user.id, 60, fingerprint=fingerprint),
            "of another address": tokens.sign(tokens.VERIFICATION, user.id, 60, fingerprint="0" * 32),
            "without fingerprint": tokens.sign(tokens.VERIFICATION, user.id, 60),
            "unknown user": tokens.sign(tokens.VERIFICATION, user.id + 1000, 60, fingerprint=fingerprint),
        }

    found = {name: post(client, "verify-email", {"token": token}).status_code for name, token in invalid.items()}

    assert found == dict.fromkeys(invalid, 401)
    session.refresh(user)
    assert user.unverified_since is not None


def test_suspended_user_gets_no_link_and_cannot_use_one(
    mail_client: FlaskClient, mailbox: Mailbox, session: Session
) -> None:
    user = make_user(session, unverified_since=utc_now(), suspended_at=utc_now())
    post(mail_client, "resend-verification", {"email": user.email})
    body = {"token": verification_token(mail_client.application, user)}

    assert post(mail_client, "verify-email", body).status_code == 401
    assert mailbox.messages == []


def test_resend_sends_a_link_to_unverified_accounts_only(
    mail_client: FlaskClient, mailbox: Mailbox, session: Session, user: User
) -> None:
    unverified = make_user(session, unverified_since=utc_now())
    responses = [
        post(mail_client, "resend-verification", {"email": email})
        for email in (unverified.email, user.email, "unknown@example.org")
    ]

    assert {(response.status_code, response.text) for response in responses} == {(202, responses[0].text)}
    assert [message["To"] for message in mailbox.messages] == [unverified.email]
    assert post(mail_client, "verify-email", {"token": link_token(mailbox.wait(), "verify-email")}).status_code == 204


def test_resend_is_limited_per_address(client: FlaskClient) -> None:
    body = {"email": "victim@example.org"}

    assert [post(client, "resend-verification", body).status_code for _ in range(11)] == [202] * 10 + [429]


def test_password_reset_by_email_verifies_the_account(
    mail_client: FlaskClient, mailbox: Mailbox, session: Session
) -> None:
    user = make_user(session, unverified_since=utc_now())
    post(mail_client, "forgot-password", {"email": user.email})
    token = link_token(mailbox.wait(), "reset-password")

    assert post(mail_client, "reset-password", {"token": token, "new_password": NEW["password"]}).status_code == 204
    session.refresh(user)
    assert user.unverified_since is None


def routes_for_unverified(app: Flask) -> list[Route]:
    return [route for route in routes(app) if route.policy.allows_unverified and "/v2/" not in route.rule.rule]


def test_unverified_users_may_call_exactly_these_routes(app: Flask) -> None:
    assert {str(route) for route in routes_for_unverified(app) if "/v1/" in route.rule.rule} == {
        f"GET {ME}",
        f"DELETE {ME}",
        f"GET {ME}/data-export",
        f"POST {AUTH}/logout",
        f"POST {AUTH}/reauthenticate",
        f"GET {ME}/sessions",
        f"DELETE {ME}/sessions/<int:session_id>",
    }


def test_every_other_route_rejects_unverified_users(app: Flask, client: FlaskClient, session: Session) -> None:
    allowed = {str(route) for route in routes_for_unverified(app)}
    admin = make_user(session, role="admin")
    statuses = {
        str(route): client.open(
            route.path(), method=route.method, headers=bearer(app, admin, verified=False)
        ).status_code
        for route in routes(app)
        if not route.is_public and str(route) not in allowed and "/v2/" not in route.rule.rule
    }

    assert len(statuses) > 20
    assert set(statuses.values()) == {403}, statuses


def test_unverified_user_can_erase_the_account(app: Flask, client: FlaskClient, session: Session) -> None:
    user = make_user(session, unverified_since=utc_now())

    assert client.delete(ME, headers=bearer(app, user, verified=False)).status_code == 204


def test_without_a_mail_server_accounts_are_verified(client: FlaskClient, session: Session) -> None:
    registered = post(client, "register", NEW)
    again = post(client, "register", NEW)
    tokens_ = sign_in(client, NEW["email"], NEW["password"]).get_json()

    assert (registered.status_code, registered.get_json()["email"], again.status_code) == (201, NEW["email"], 409)
    assert client.get(ACTIVE, headers=as_header(tokens_)).status_code == 200
    assert session.scalars(sa.select(User.unverified_since).where(User.email == NEW["email"])).one() is None


def test_account_that_is_used_without_a_mail_server_stays_verified(
    client: FlaskClient, mail_client: FlaskClient, session: Session, audit_entries: AuditEntries
) -> None:
    user = make_user(session, unverified_since=utc_now() - timedelta(days=30))

    tokens_ = sign_in(client, user.email).get_json()
    with mail_client.application.app_context():
        email_tasks.delete_unconfirmed()

    for each in (client, mail_client):
        assert each.get(ACTIVE, headers=as_header(tokens_)).status_code == 200
    session.refresh(user)
    assert user.unverified_since is None
    assert ("user.email_verified", {"reason": "there is no mail server"}) in [
        (entry.action, entry.details) for entry in audit_entries()
    ]


def test_unverified_account_with_data_is_not_deleted(mail_client: FlaskClient, session: Session) -> None:
    """Earlier releases did not store that the account counted as verified for a time."""
    app, kept = mail_client.application, []
    for create in [create for name, create in objects().items() if name not in OBJECTS]:
        user = make_user(session, unverified_since=utc_now() - timedelta(days=30))
        create(app, session, user)
        kept.append(user.id)
    make_session(session, make_user(session, unverified_since=utc_now() - timedelta(days=30)))

    with app.app_context():
        email_tasks.delete_unconfirmed()

    session.expire_all()
    assert session.scalars(sa.select(User.id).order_by(User.id)).all() == kept


@pytest.mark.parametrize(("days", "role", "deleted"), [(8, "user", True), (6, "user", False), (8, "admin", False)])
def test_unverified_accounts_are_deleted_after_days(
    mail_client: FlaskClient, session: Session, audit_entries: AuditEntries, days: int, role: str, deleted: bool
) -> None:
    user = make_user(session, role=role, unverified_since=utc_now() - timedelta(days=days))
    make_session(session, user)
    user_id = user.id

    with mail_client.application.app_context():
        email_tasks.delete_unconfirmed()

    session.expire_all()
    assert (session.get(User, user_id) is None) is deleted
    assert [entry.action for entry in audit_entries()] == ["user.erased"] * deleted
    assert session.scalars(sa.select(UserSession).where(UserSession.user_id == user_id)).all() == [] or not deleted


def test_no_account_is_deleted_without_a_mail_server(app: Flask, session: Session) -> None:
    user = make_user(session, unverified_since=utc_now() - timedelta(days=400))

    with app.app_context():
        email_tasks.delete_unconfirmed()

    session.refresh(user)
    assert user.unverified_since is not None


def test_many_unverified_accounts_are_deleted_and_others_stay(
    mail_client: FlaskClient, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "BATCH", 2)
    for _ in range(5):
        make_user(session, unverified_since=utc_now() - timedelta(days=30))

    with mail_client.application.app_context():
        email_tasks.delete_unconfirmed()

    session.expire_all()
    assert session.scalars(sa.select(User.id)).all() == [user.id]


def test_account_that_is_verified_meanwhile_stays(mail_client: FlaskClient, session: Session) -> None:
    user = make_user(session, unverified_since=utc_now() - timedelta(days=30))
    assert (
        post(mail_client, "verify-email", {"token": verification_token(mail_client.application, user)}).status_code
        == 204
    )

    with mail_client.application.app_context():
        email_tasks.delete_unconfirmed()

    session.refresh(user)
    assert user.unverified_since is None
    assert sign_in(mail_client, user.email, PASSWORD).status_code == 200
