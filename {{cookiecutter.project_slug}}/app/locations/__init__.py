"""Where users are and were."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app import api, personal_data, statistics
from app.locations import service
from app.locations.views import ACTIVE, blueprint
from app.personal_data import Holding


def init_app(app: Flask) -> None:
    """Serve the routes, count, and answer for what is personal."""
    api.register(app, blueprint)
    statistics.register(app, "locations", service.count_recent)
    personal_data.register(app, "locations", Holding(("user_locations",), service.tell, _forget))


def _forget(session: Session, user_id: int) -> None:
    service.forget(session, user_id)
    sa.event.listen(session, "after_commit", lambda _: ACTIVE.forget(), once=True)
