"""Positions to test with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app.accounts.models import User
from app.database import now
from app.locations.models import UserLocation


def make_location(
    session: Session, user: User, *, at: datetime | None = None, latitude: float = 52.5, longitude: float = 13.4
) -> UserLocation:
    """A position of a user, now unless another time is given."""
    location = UserLocation(user_id=user.id, latitude=latitude, longitude=longitude, recorded_at=at or now())
    session.add(location)
    session.commit()
    return location
