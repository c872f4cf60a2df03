"""Rules and queries of locations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.database import now
from app.locations.models import UserLocation
from app.pagination import before
from app.personal_data import tell_row

Cursor = tuple[datetime, int]
PAGE = 1000
INSERT = sa.insert(UserLocation)
# A thousand rows as one statement: 10 ms of the service and the database together, and 28 as a statement for each row.
INSERT_COLUMNS = """
INSERT INTO user_locations (user_id, created_at, latitude, longitude, accuracy, recorded_at)
SELECT %b::bigint, %b::timestamptz, * FROM unnest(%b::float8[], %b::float8[], %b::float8[], %b::timestamptz[])
"""


def save(connection: sa.Connection, user_id: int, position: Mapping[str, Any]) -> Mapping[str, Any]:
    """Save one position of a user."""
    time = now()
    row = {"user_id": user_id, "created_at": time, "recorded_at": time, **position}
    inserted = connection.execute(INSERT, row)
    return {**row, "id": inserted.inserted_primary_key[0]}  # type: ignore[index] # there is one: it was an INSERT


def save_batch(connection: sa.Connection, user_id: int, positions: Sequence[Mapping[str, Any]]) -> int:
    """Save several positions of a user, all or none; returns how many."""
    time = now()
    rows = [{"recorded_at": time, **position} for position in positions]
    if connection.dialect.name == "postgresql":
        columns = [[row[name] for row in rows] for name in ("latitude", "longitude", "accuracy", "recorded_at")]
        connection.exec_driver_sql(INSERT_COLUMNS, (user_id, time, *columns))
    else:
        connection.execute(INSERT, [{"user_id": user_id, "created_at": time, **row} for row in rows])
    return len(rows)


def history(session: Session, user_id: int, limit: int, cursor: Cursor | None) -> Sequence[UserLocation]:
    """Up to `limit` + 1 positions of a user, newest first, from the cursor on."""
    query = sa.select(UserLocation).where(UserLocation.user_id == user_id)
    if cursor:
        query = query.where(before(UserLocation.recorded_at, UserLocation.id, cursor))
    newest_first = query.order_by(UserLocation.recorded_at.desc(), UserLocation.id.desc())
    return session.scalars(newest_first.limit(limit + 1)).all()


def active(
    connection: sa.Connection, minutes: int, box: tuple[float, ...] | None, limit: int, cursor: Cursor | None
) -> Sequence[sa.Row[Any]]:
    """Up to `limit` + 1 users seen in the last minutes, each with the latest position, newest first.

    The box (west, south, east, north) picks among the latest positions: who has left it is not in it.
    """
    seen = UserLocation.recorded_at >= now() - timedelta(minutes=minutes)
    latest_first = (UserLocation.recorded_at.desc(), UserLocation.id.desc())
    rank = sa.func.row_number().over(partition_by=UserLocation.user_id, order_by=latest_first).label("rank")
    ranked = sa.select(UserLocation, rank).where(seen).subquery()
    latest = ranked.c
    query = sa.select(ranked).where(latest["rank"] == 1)
    if box:
        query = query.where(_inside(latest, box))
    if cursor:
        query = query.where(before(latest.recorded_at, latest.id, cursor))
    return connection.execute(query.order_by(latest.recorded_at.desc(), latest.id.desc()).limit(limit + 1)).all()


def count_recent(session: Session) -> Mapping[str, int]:
    """How many positions there are of the last 24 hours."""
    recent = UserLocation.recorded_at >= now() - timedelta(hours=24)
    return {"last_24_hours": session.scalar(sa.select(sa.func.count()).select_from(UserLocation).where(recent)) or 0}


def tell(session: Session, user_id: int) -> Iterator[dict[str, Any]]:
    """A user's positions, newest first, read page by page."""
    cursor = None
    while page := history(session, user_id, PAGE, cursor):
        cursor = (page[-1].recorded_at, page[-1].id)
        yield from [tell_row(row) for row in page]  # all before the first: then they may expire


def forget(session: Session, user_id: int) -> None:
    """Delete a user's positions, of which there can be more than one statement has time for."""
    some = sa.select(UserLocation.id).where(UserLocation.user_id == user_id).limit(PAGE)
    while ids := session.scalars(some).all():
        session.execute(sa.delete(UserLocation).where(UserLocation.id.in_(ids)))


def _inside(columns: Any, box: tuple[float, ...]) -> Any:
    west, south, east, north = box
    eastward, westward = columns.longitude >= west, columns.longitude <= east
    across_the_antimeridian = west > east
    between = sa.or_(eastward, westward) if across_the_antimeridian else sa.and_(eastward, westward)
    return sa.and_(columns.latitude.between(south, north), between)
