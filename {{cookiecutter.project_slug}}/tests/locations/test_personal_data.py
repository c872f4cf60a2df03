"""Tests of the export and the erasure of long location histories."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.locations import service
from app.locations.models import UserLocation
from app.platform import personal_data
from app.platform.database.base import utc_now
from tests.locations.factory import make_location


def test_export_pages_through_locations_in_order(session: Session, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PORTION", 2)
    time = utc_now()
    ids = [make_location(session, user, at=time).id for _ in range(7)]  # the same time, across the edges of the pages

    exported = list(service.export(session, user.id)["user_locations"])

    assert [row["id"] for row in exported] == ids[::-1]


@pytest.mark.fault("F54")
def test_erasure_deletes_locations_in_portions(
    session: Session, user: User, other_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "PORTION", 2)
    time = utc_now()
    for _ in range(5):
        make_location(session, user, at=time)
    kept = make_location(session, other_user).id

    left = []
    for _ in service.erase(session, user.id):
        session.commit()
        left.append(session.scalar(sa.select(sa.func.count(UserLocation.id))))

    assert left == [6, 4, 2, 1]  # first, the sharing ends
    assert session.scalars(sa.select(UserLocation.id)).all() == [kept]
