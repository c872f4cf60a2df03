"""Rules of accounts."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import service
from app.accounts.models import User
from app.accounts.tasks import record_login
from app.platform.database.base import utc_now


def test_record_login_ignores_an_older_time(session: Session, user: User) -> None:
    later = utc_now()
    earlier = later - timedelta(minutes=1)

    service.record_login(session, user.id, later)
    service.record_login(session, user.id, earlier)

    session.refresh(user)
    assert user.last_login_at == later


def test_record_login_task_stores_the_time(app: Flask, session: Session, user: User) -> None:
    time = utc_now()

    with app.app_context():  # otherwise the task uses the app that another test created last
        record_login(user.id, time.isoformat())

    session.refresh(user)
    assert user.last_login_at == time
