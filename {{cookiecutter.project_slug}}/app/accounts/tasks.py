"""Background work of accounts."""

from __future__ import annotations

from datetime import datetime

from celery import shared_task

from app.accounts import service
from app.database import db


@shared_task(name="accounts.note_login")
def note_login(user_id: int, time: str) -> None:
    """Keep when a user last signed in (ISO 8601, with a zone); nobody waits for it, and twice is as good as once."""
    service.note_login(db.session(), user_id, datetime.fromisoformat(time))
