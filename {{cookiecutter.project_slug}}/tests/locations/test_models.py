"""The constraints of the table of positions."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.locations.models import UserLocation
from tests.locations.factory import make_location


@pytest.mark.parametrize("position", [{"latitude": 90.1}, {"longitude": -180.1}])
@pytest.mark.req("D1")
def test_database_rejects_invalid_coordinates(session: Session, user: User, position: dict[str, Any]) -> None:
    with pytest.raises((exc.IntegrityError, exc.OperationalError)):
        make_location(session, user, **position)


@pytest.mark.req("D1")
def test_deleting_a_user_deletes_their_positions(session: Session, user: User) -> None:
    make_location(session, user)

    session.delete(user)
    session.commit()

    assert session.scalar(sa.select(sa.func.count(UserLocation.id))) == 0
