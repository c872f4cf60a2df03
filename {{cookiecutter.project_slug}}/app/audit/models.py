"""The audit log, and the seals that show changes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.platform.database.append_only import append_only
from app.platform.database.base import Model, utc_now


class AuditLog(Model):
    """One action. It has no foreign keys, so the entry remains after its actor or target is deleted."""

    __tablename__ = "audit_logs"
    __table_args__ = (
        sa.Index(None, "actor_id", "created_at"),
        sa.Index(None, "action", "created_at"),
        sa.Index(None, "created_at"),
        sa.Index(None, "target_type", "target_id", "created_at"),
        {"info": append_only("details")},
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    actor_id: Mapped[int | None]
    action: Mapped[str] = mapped_column(sa.String(64))
    target_type: Mapped[str | None] = mapped_column(sa.String(64))
    target_id: Mapped[str | None] = mapped_column(sa.String(64))
    address: Mapped[str | None] = mapped_column(sa.String(64))
    request_id: Mapped[str | None] = mapped_column(sa.String(128))
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)


class AuditSeal(Model):
    """A signed list of the entries from the previous seal's last one up to `last_id`; it may be empty.

    `id`: 1, 2, 3 and so on, without gaps. `version`: which columns of an entry are hashed. `entries`: the id and the
    hash of each entry, as `7:0f6b… 8:a1c2…`. `previous`: the hash of the previous seal. The signature is an HMAC by the
    key `key_id`, which is derived from the encryption key.
    """

    __tablename__ = "audit_seals"
    __table_args__ = ({"info": append_only("entries")},)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime]
    version: Mapped[int]
    last_id: Mapped[int]
    entries: Mapped[str] = mapped_column(sa.Text)
    previous: Mapped[str] = mapped_column(sa.String(64))
    key_id: Mapped[str] = mapped_column(sa.String(16))
    signature: Mapped[str] = mapped_column(sa.String(64))
