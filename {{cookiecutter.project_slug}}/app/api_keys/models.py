"""API keys."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Model, now


class ApiKey(Model):
    """A key of a user's: how it begins, by which it is looked up and shown, and a hash of the whole.

    The hash is SHA-256: a slow one makes guessing dear, and 256 random bits nobody guesses.
    """

    __tablename__ = "api_keys"
    __table_args__ = (sa.UniqueConstraint("prefix"), sa.Index(None, "user_id", "created_at", "id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(100))
    prefix: Mapped[str] = mapped_column(sa.String(16))
    key_hash: Mapped[str] = mapped_column(sa.String(64))
    scopes: Mapped[list[str]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
