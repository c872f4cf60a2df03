"""Samples of locations, for the tests over all features (see tests/samples.py)."""

from __future__ import annotations

from flask import Flask
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.locations.models import LocationSharing, UserLocation
from tests.locations.factory import make_location
from tests.unique_values import unique_number, unique_time

_longitudes = st.integers(-1800, 1800).map(lambda tenths: tenths / 10)
_latitudes = st.lists(st.integers(-900, 900).map(lambda tenths: tenths / 10), min_size=2, max_size=2).map(sorted)


def create_location(app: Flask, session: Session, user: User) -> int:
    """Create a position of the user; returns its id."""
    del app
    return make_location(session, user).id


OBJECTS = {"location_id": create_location}
FUZZ_FORMATS = {"bbox": st.builds("{0},{2[0]},{1},{2[1]}".format, _longitudes, _longitudes, _latitudes)}


SECRET_COLUMNS: frozenset[str] = frozenset()  # not exported


def create_personal_data(app: Flask, session: Session, user: User) -> None:
    """Create a location with every column filled."""
    del app
    session.add(
        UserLocation(
            user_id=user.id,
            latitude=unique_number() / 10**8,
            longitude=unique_number() / 10**8,
            accuracy=unique_number() / 10**8,
            recorded_at=unique_time(),
            created_at=unique_time(),
        )
    )
    session.add(LocationSharing(user_id=user.id, created_at=unique_time()))


PERSONAL_DATA = create_personal_data


# The table that each action of the audit log changes; empty: the entry records an event.
AUDIT_ACTIONS = {
    "locations.sharing_started": "location_sharing",
    "locations.sharing_stopped": "location_sharing",
}
