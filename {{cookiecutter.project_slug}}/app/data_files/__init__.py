"""Files of users, and tests of what is in them."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session

from app import api, personal_data, statistics
from app.data_files import service, tasks
from app.data_files.views import blueprint
from app.personal_data import Holding
from app.settings import settings_of
from app.worker import register_schedule

TABLES = ("data_files", "test_history")


def init_app(app: Flask) -> None:
    """Serve the routes, look after tests that stall, and answer for what is kept of users."""
    api.register(app, blueprint)
    patience = settings_of(app).TEST_RUN_STALE_SECONDS
    register_schedule(app, "data_files.resend_stalled", min(tasks.SWEEP_SECONDS, patience / 2))
    register_schedule(app, "data_files.drop_orphans", tasks.DAY_SECONDS)
    personal_data.register(app, "data_files", Holding(TABLES, service.tell, forget))
    statistics.register(app, "data_files", service.count)


def forget(session: Session, user_id: int) -> None:
    """Have the content of a user's files deleted once the session has committed; the rows go with the user's own.

    Should the message that asks for it be lost, the daily `drop_orphans` does it.
    """
    keys = list(service.keys_of(session, user_id))

    def after_commit(_: Session) -> None:
        for start in range(0, len(keys), service.BATCH):
            tasks.drop_objects.send_if_possible(keys[start : start + service.BATCH])

    event.listen(session, "after_commit", after_commit, once=True)
