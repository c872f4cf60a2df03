"""The statistics of locations."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.platform.database.base import utc_now
from app.platform.statistics import statistics_of
from tests.locations.factory import make_location


@pytest.mark.req("A5")
def test_statistics_count_locations_of_the_last_day(app: Flask, session: Session, user: User) -> None:
    make_location(session, user)
    make_location(session, user, at=utc_now() - timedelta(hours=23))
    make_location(session, user, at=utc_now() - timedelta(hours=25))

    assert statistics_of(app, session)["locations"] == {"last_24_hours": 2}
