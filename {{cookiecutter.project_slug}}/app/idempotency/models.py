"""The keys of requests, and their answers."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.platform.database.base import Model, utc_now
from app.platform.database.encrypted_attribute import EncryptedAttribute
from app.platform.database.encryption import BoundText, EncryptedText


class IdempotencyKey(Model):
    """A key that a user sent, as a SHA-256 hash, with a hash of its request and the answer.

    An answer can contain a secret, such as a new API key, so it is encrypted.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.UniqueConstraint("user_id", "key_hash"), sa.Index(None, "created_at"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    key_hash: Mapped[str] = mapped_column(sa.String(64))
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    _answer: Mapped[BoundText] = mapped_column("answer", EncryptedText)
    answer = EncryptedAttribute("_answer")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
