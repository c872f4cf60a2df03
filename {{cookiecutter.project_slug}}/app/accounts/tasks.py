"""Background work of accounts."""

from __future__ import annotations

from datetime import datetime, timedelta

from celery import shared_task
from flask import current_app

from app import mail
from app.accounts import service
from app.accounts.letters import reset_letter
from app.database import db, now
from app.security import sessions, tokens
from app.settings import settings_of

RESET_SECONDS = 1800
# Every replica learns within this time of a session whose end Redis was not told of, or has forgotten.
REPEAT_SECONDS = 60.0
DAY_SECONDS = 86_400.0


@shared_task(name="accounts.note_login")
def note_login(user_id: int, time: str) -> None:
    """Keep when a user last signed in (ISO 8601, with a zone); nobody waits for it, and twice is as good as once."""
    service.note_login(db.session(), user_id, datetime.fromisoformat(time))


@shared_task(
    name="accounts.send_reset_mail", autoretry_for=mail.TRY_AGAIN, retry_backoff=5, retry_backoff_max=300, max_retries=8
)
def send_reset_mail(email: str) -> None:
    """Mail a link to replace the password, if there is such an account.

    The token is made here and not in the request, so that it never lies in the queue, and so that a request takes as
    long for an e-mail that has no account.
    """
    user = service.find(db.session(), email)
    if user is None:
        return
    settings = settings_of(current_app)
    token = tokens.sign(tokens.RESET, user.id, RESET_SECONDS, mark=service.fingerprint(user))
    db.session().rollback()  # the mail server may take its time, and needs no connection to the database
    subject, text = reset_letter(settings, token, RESET_SECONDS // 60)
    mail.send(settings, recipient=email, subject=subject, text=text)


@shared_task(name="accounts.repeat_endings")
def repeat_endings() -> None:
    """Tell Redis once more which sessions ended while their access tokens can still be about."""
    recently = now() - timedelta(seconds=settings_of(current_app).ACCESS_TOKEN_SECONDS + 60)
    sessions.end(service.sessions_ended_since(db.session(), recently))


@shared_task(name="accounts.drop_old_sessions")
def drop_old_sessions() -> None:
    """Forget sessions that are long over."""
    service.drop_old_sessions(db.session())
