"""The tombstones of erased users."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.platform.database.base import Model, utc_now


class Erasure(Model):
    """A tombstone: this user was erased, and a restored backup must not bring the user back.

    It has no foreign key and no personal data. The time of registration is part of the identity because a restored
    database assigns the same ids again, to other users. `stored_at` is when it was written to the storage, and
    `stored_key_id` the id of the key that signed it there; `unsigned` if the service has not signed it, and so does not
    write it.
    """

    __tablename__ = "erasures"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "user_created_at"),
        sa.Index(None, "erased_at"),
        sa.Index(None, "stored_at"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int]
    user_created_at: Mapped[datetime]
    erased_at: Mapped[datetime] = mapped_column(default=utc_now)
    session_ids: Mapped[list[int]] = mapped_column(sa.JSON)
    stored_at: Mapped[datetime | None]
    stored_key_id: Mapped[str | None] = mapped_column(sa.String(16))
