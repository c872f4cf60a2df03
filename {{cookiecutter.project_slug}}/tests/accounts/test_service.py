"""Rules of accounts."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import service
from app.accounts.models import User
from app.accounts.tasks import note_login
from app.database import now


def test_the_latest_login_is_kept_also_when_an_older_one_comes_late(session: Session, user: User) -> None:
    later = now()
    earlier = later - timedelta(minutes=1)

    service.note_login(session, user.id, later)
    service.note_login(session, user.id, earlier)

    session.refresh(user)
    assert user.last_login_at == later


def test_the_task_keeps_the_login(app: Flask, session: Session, user: User) -> None:
    time = now()

    with app.app_context():  # not that of the app that another test made last
        note_login(user.id, time.isoformat())

    session.refresh(user)
    assert user.last_login_at == time
