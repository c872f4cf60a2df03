"""Background tasks of accounts."""

from __future__ import annotations

from datetime import datetime, timedelta

from celery import shared_task
from flask import current_app

from app.accounts import service, user_sessions
from app.accounts.emails import password_reset_email
from app.accounts.settings import AccountsSettings
from app.platform.database.base import db, utc_now
from app.platform.security import sessions, tokens
from app.platform.settings.declarations import Settings, settings_of
from app.platform.tasks import mail

RESET_TOKEN_SECONDS = 1800
# Upper bound for a revoked session to stay usable after Redis missed or lost the revocation.
REVOCATION_REPEAT_SECONDS = 60.0
DAY_SECONDS = 86_400.0


@shared_task(name="accounts.record_login")
def record_login(user_id: int, time: str) -> None:
    """Store the time of a login (ISO 8601 with a zone). Idempotent; no request waits for it."""
    service.record_login(db.session(), user_id, datetime.fromisoformat(time))


@shared_task(
    name="accounts.send_reset_mail",
    autoretry_for=mail.RETRYABLE_ERRORS,
    retry_backoff=5,
    retry_backoff_max=300,
    max_retries=8,
)
def send_reset_mail(email: str) -> None:
    """Send a link to set a new password, if the account exists and is not suspended.

    The task issues the token, so the token is never in the queue, and the request takes equally long for unknown
    addresses.
    """
    user = service.find_by_email(db.session(), email)
    if user is None or user.suspended_at:
        return
    settings = settings_of(current_app)
    token = tokens.sign(tokens.RESET, user.id, RESET_TOKEN_SECONDS, fingerprint=service.password_fingerprint(user))
    recipient = user.email  # never the address that was typed: the database may count another one as equal
    db.session().rollback()  # return the connection to the pool: the mail server may take seconds
    subject, text = password_reset_email(settings.SERVICE_NAME, reset_page(settings), token, RESET_TOKEN_SECONDS // 60)
    mail.send(settings, recipient=recipient, subject=subject, text=text)


@shared_task(name="accounts.repeat_revocations")
def repeat_revocations() -> None:
    """Write recent revocations to Redis again, for sessions whose access tokens may not have expired."""
    since = utc_now() - timedelta(seconds=settings_of(current_app).ACCESS_TOKEN_SECONDS + 60)
    sessions.revoke(service.sessions_ended_since(db.session(), since))


@shared_task(name="accounts.delete_old_sessions")
def delete_old_sessions() -> None:
    """Delete sessions that ended or expired long ago."""
    user_sessions.delete_old_sessions(db.session())


def reset_page(settings: Settings) -> str:
    """Return the URL of the page that sets a new password."""
    configured = settings_of(current_app, AccountsSettings).PASSWORD_RESET_URL
    return configured or f"{(settings.PUBLIC_BASE_URL or '').rstrip('/')}/reset-password"
