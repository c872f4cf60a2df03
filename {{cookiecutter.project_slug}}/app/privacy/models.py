"""Who was erased, and how old the encryption keys are."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Model, now


class EncryptionKey(Model):
    """When a key, known by its id, was first used to encrypt."""

    __tablename__ = "encryption_keys"

    kid: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    first_used_at: Mapped[datetime] = mapped_column(default=now)


class Erasure(Model):
    """A tombstone: somebody was here, and must not come back out of a backup.

    Without a foreign key and without personal data. An id alone would not do: after a restore it is given out again, to
    somebody else, who registered at another time.
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
    erased_at: Mapped[datetime] = mapped_column(default=now)
    session_ids: Mapped[list[int]] = mapped_column(sa.JSON)
    stored_at: Mapped[datetime | None]
