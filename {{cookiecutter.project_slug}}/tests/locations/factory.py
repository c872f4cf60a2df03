"""Factories of positions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app.accounts.models import User
from app.locations.models import LocationSharing, UserLocation
from app.platform.database.base import utc_now


def make_location(
    session: Session, user: User, *, at: datetime | None = None, latitude: float = 52.5, longitude: float = 13.4
) -> UserLocation:
    """Create a position of a user, by default of the current time."""
    location = UserLocation(user_id=user.id, latitude=latitude, longitude=longitude, recorded_at=at or utc_now())
    session.add(location)
    session.commit()
    return location


def share_location(session: Session, *users: User) -> None:
    """Let other users see the latest position of these users."""
    session.add_all(LocationSharing(user_id=user.id) for user in users)
    session.commit()
