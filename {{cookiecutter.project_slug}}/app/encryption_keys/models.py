"""The encryption keys in use."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.platform.database.base import Model, utc_now


class EncryptionKey(Model):
    """The id of a key, and when the key was first used."""

    __tablename__ = "encryption_keys"

    kid: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    first_used_at: Mapped[datetime] = mapped_column(default=utc_now)
