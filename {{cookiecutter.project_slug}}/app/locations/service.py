"""Rules and queries of locations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.locations.models import LocationSharing, UserLocation
from app.platform.api.pagination import CursorValue, newest_first
from app.platform.database.base import utc_now
from app.platform.personal_data import PORTION, delete_in_portions, row_as_dict, rows_as_dicts

INSERT = sa.insert(UserLocation)
# The columns of `INSERT_ALL` that a caller sets. One statement for 1000 rows takes 10 ms of service and database time;
# one statement per row takes 28 ms.
POSITION_COLUMNS = ("latitude", "longitude", "accuracy", "recorded_at")
INSERT_ALL = """
INSERT INTO user_locations (user_id, created_at, latitude, longitude, accuracy, recorded_at)
SELECT %b::bigint, %b::timestamptz, * FROM unnest(%b::float8[], %b::float8[], %b::float8[], %b::timestamptz[])
"""


def save(connection: sa.Connection, user_id: int, position: Mapping[str, Any]) -> Mapping[str, Any]:
    """Save one position of a user and return its row."""
    time = utc_now()
    row = {"user_id": user_id, "created_at": time, "recorded_at": time, **position}
    key = cast("sa.Row[tuple[int]]", connection.execute(INSERT, row).inserted_primary_key)
    return {**row, "id": key[0]}


def save_batch(connection: sa.Connection, user_id: int, positions: Sequence[Mapping[str, Any]]) -> int:
    """Save several positions of a user, all or none; returns their number."""
    time = utc_now()
    rows = [{"recorded_at": time, **position} for position in positions]
    if connection.dialect.name == "postgresql":
        columns = [[row[name] for row in rows] for name in POSITION_COLUMNS]
        connection.exec_driver_sql(INSERT_ALL, (user_id, time, *columns))
    else:
        connection.execute(INSERT, [{"user_id": user_id, "created_at": time, **row} for row in rows])
    return len(rows)


def count(connection: sa.Connection, user_id: int, maximum: int) -> int:
    """Return the number of a user's positions, at most `maximum`."""
    rows = sa.select(sa.literal(1)).where(UserLocation.user_id == user_id).limit(maximum).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(rows)) or 0


def history(session: Session, user_id: int, limit: int, cursor: CursorValue | None) -> Sequence[UserLocation]:
    """Return up to `limit` + 1 positions of a user after the cursor, newest first."""
    query = sa.select(UserLocation).where(UserLocation.user_id == user_id)
    return session.scalars(newest_first(query, UserLocation.recorded_at, UserLocation.id, limit, cursor)).all()


def delete(connection: sa.Connection, user_id: int, location_id: int) -> bool:
    """Delete a position of a user; return False if the user has none with this id."""
    own = sa.and_(UserLocation.id == location_id, UserLocation.user_id == user_id)
    return connection.execute(sa.delete(UserLocation).where(own)).rowcount == 1


def active(
    connection: sa.Connection,
    *,
    minutes: int,
    limit: int,
    bbox: tuple[float, ...] | None = None,
    cursor: CursorValue | None = None,
    everyone: bool = False,
) -> Sequence[sa.Row[Any]]:
    """Return the latest position of up to `limit` + 1 users seen in the last minutes, newest first.

    Of users who share it and are not suspended; with `everyone`, of all users; of no user whose processing is
    restricted, or who is being erased. The box (west, south, east, north, in degrees) filters the latest positions, so
    users who have left it are not included.
    """
    seen = UserLocation.recorded_at >= utc_now() - timedelta(minutes=minutes)
    if not everyone:
        seen = sa.and_(seen, UserLocation.user_id.in_(sa.select(LocationSharing.user_id)))
    latest_first = (UserLocation.recorded_at.desc(), UserLocation.id.desc())
    rank = sa.func.row_number().over(partition_by=UserLocation.user_id, order_by=latest_first).label("rank")
    ranked = sa.select(UserLocation, rank).where(seen).subquery()
    latest = ranked.c
    query = sa.select(ranked).where(latest["rank"] == 1, sa.not_(accounts.is_restricted(latest.user_id)))
    if not everyone:  # two conditions, as each has its own index
        query = query.where(sa.not_(accounts.is_suspended(latest.user_id)))
    if bbox:
        query = query.where(_inside(latest, bbox))
    return connection.execute(newest_first(query, latest.recorded_at, latest.id, limit, cursor)).all()


def count_recent(session: Session) -> Mapping[str, int]:
    """Return the number of positions of the last 24 hours."""
    recent = UserLocation.recorded_at >= utc_now() - timedelta(hours=24)
    return {"last_24_hours": session.scalar(sa.select(sa.func.count()).select_from(UserLocation).where(recent)) or 0}


def export(session: Session, user_id: int) -> dict[str, Any]:
    """Return a user's positions, newest first, read page by page, and whether the user shares them."""
    sharing = sa.select(LocationSharing).where(LocationSharing.user_id == user_id)
    return {
        "user_locations": _export_positions(session, user_id),
        "location_sharing": rows_as_dicts(session, sharing),
    }


def _export_positions(session: Session, user_id: int) -> Iterator[dict[str, Any]]:
    cursor = None
    while page := history(session, user_id, PORTION, cursor):
        cursor = (page[-1].recorded_at, page[-1].id)
        yield from [row_as_dict(row) for row in page]  # a list: the rows may expire after the first yield


def erase(session: Session, user_id: int) -> Iterator[None]:
    """End the sharing of a user's positions, then delete them in portions; yields after each."""
    session.execute(sa.delete(LocationSharing).where(LocationSharing.user_id == user_id))
    yield
    for _ in delete_in_portions(session, UserLocation, user_id, (UserLocation.recorded_at, UserLocation.id)):
        yield


def _inside(columns: Any, box: tuple[float, ...]) -> Any:
    west, south, east, north = box
    east_of_west, west_of_east = columns.longitude >= west, columns.longitude <= east
    crosses_antimeridian = west > east
    between = sa.or_(east_of_west, west_of_east) if crosses_antimeridian else sa.and_(east_of_west, west_of_east)
    return sa.and_(columns.latitude.between(south, north), between)
