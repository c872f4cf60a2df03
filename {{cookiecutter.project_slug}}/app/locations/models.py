"""Positions of users, and who shares them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.platform.database.base import Model, utc_now


class UserLocation(Model):
    """The position of a user at a time, in degrees WGS 84; `accuracy` is the radius of uncertainty in metres."""

    __tablename__ = "user_locations"
    __table_args__ = (
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        sa.CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
        sa.Index(None, "user_id", "recorded_at", "id"),
        sa.Index(None, "recorded_at"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    latitude: Mapped[float] = mapped_column(sa.Double)
    longitude: Mapped[float] = mapped_column(sa.Double)
    accuracy: Mapped[float | None] = mapped_column(sa.Double)
    recorded_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class LocationSharing(Model):
    """A user who shares the latest position with other users."""

    __tablename__ = "location_sharing"
    __table_args__ = (sa.UniqueConstraint("user_id"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
