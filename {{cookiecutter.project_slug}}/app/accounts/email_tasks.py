"""Background tasks that send links to new and changed addresses, and delete accounts and changes without confirmation.

Each task issues the tokens of its links, so that no token is in the queue.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import shared_task
from flask import current_app

from app.accounts import email_changes, emails, service, verification
from app.accounts.models import User
from app.accounts.settings import AccountsSettings
from app.accounts.tasks import reset_page
from app.platform.database.base import db, utc_now
from app.platform.security import sessions, tokens
from app.platform.settings.declarations import settings_of
from app.platform.tasks import mail
from app.platform.telemetry.logging import context_value
from app.platform.web.client_address import RequestOrigin

LINK_HOURS = 24
LINK_SECONDS = LINK_HOURS * 3600
HOUR_SECONDS = 3600.0
RETRIES: dict[str, Any] = {
    "autoretry_for": mail.RETRYABLE_ERRORS,
    "retry_backoff": 5,
    "retry_backoff_max": 300,
    "max_retries": 8,
}


@shared_task(name="accounts.send_registration_mail", **RETRIES)
def send_registration_mail(email: str) -> None:
    """Send a link to a new account; the owner of an existing one learns that the registration created none."""
    user = service.find_by_email(db.session(), email)
    if user is None:
        return
    if user.unverified_since is not None:
        _send_verification_link(user)
    else:
        settings = settings_of(current_app)
        send_mail(user.email, emails.account_exists_email(settings.SERVICE_NAME, reset_page(settings)))


@shared_task(name="accounts.send_verification_mail", **RETRIES)
def send_verification_mail(email: str) -> None:
    """Send a link to confirm the address, if its account has not confirmed it yet."""
    user = service.find_by_email(db.session(), email)
    if user is not None and user.unverified_since is not None:
        _send_verification_link(user)


@shared_task(name="accounts.send_email_change_mail", **RETRIES)
def send_email_change_mail(user_id: int, side: email_changes.Side) -> None:
    """Send a link to confirm the change of an e-mail to the old or to the new address; none if it is confirmed."""
    user, change = service.get(db.session(), user_id), email_changes.find(db.session(), user_id)
    if user is None or change is None or getattr(change, f"{side}_confirmed_at") is not None:
        return
    token = tokens.sign(tokens.EMAIL_CHANGE, user_id, LINK_SECONDS, link=change.link_id, side=side)
    page = _page(settings_of(current_app, AccountsSettings).EMAIL_CHANGE_URL, "confirm-email")
    write = emails.old_address_email if side == "old" else emails.new_address_email
    recipient = user.email if side == "old" else change.email
    send_mail(recipient, write(settings_of(current_app).SERVICE_NAME, page, token, LINK_HOURS))


@shared_task(name="accounts.delete_unconfirmed")
def delete_unconfirmed() -> None:
    """Delete accounts that were never verified, and changes of an e-mail that were not confirmed in time."""
    verification.delete_old_changes(db.session(), utc_now() - timedelta(seconds=LINK_SECONDS))
    if settings_of(current_app).MAIL_SERVER is None:
        return  # every account counts as verified
    before = utc_now() - timedelta(days=settings_of(current_app, AccountsSettings).UNVERIFIED_ACCOUNT_DAYS)
    origin = RequestOrigin(None, context_value("request_id"))
    for session_ids in verification.delete_unverified(db.session(), before, origin):
        sessions.revoke(session_ids)


def _send_verification_link(user: User) -> None:
    """Send a link that confirms the address, and sets a password if the account has none; none if it is suspended."""
    if user.suspended_at:
        return
    if not user.password_hash:
        _send_password_link(user)
        return
    fingerprint = verification.fingerprint(user)
    token = tokens.sign(tokens.VERIFICATION, user.id, LINK_SECONDS, fingerprint=fingerprint)
    page = _page(settings_of(current_app, AccountsSettings).EMAIL_VERIFICATION_URL, "verify-email")
    send_mail(user.email, emails.verification_email(settings_of(current_app).SERVICE_NAME, page, token, LINK_HOURS))


def _send_password_link(user: User) -> None:
    settings, fingerprint = settings_of(current_app), service.password_fingerprint(user)
    token = tokens.sign(tokens.RESET, user.id, LINK_SECONDS, fingerprint=fingerprint)
    page = reset_page(settings)
    send_mail(user.email, emails.password_needed_email(settings.SERVICE_NAME, page, token, LINK_HOURS))


def send_mail(recipient: str, content: tuple[str, str]) -> None:
    """Send an e-mail with this subject and text."""
    db.session().rollback()  # return the connection to the pool: the mail server may take seconds
    subject, text = content
    mail.send(settings_of(current_app), recipient=recipient, subject=subject, text=text)


def _page(configured: str | None, path: str) -> str:
    return configured or f"{(settings_of(current_app).PUBLIC_BASE_URL or '').rstrip('/')}/{path}"
