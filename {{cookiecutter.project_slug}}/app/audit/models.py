"""The audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.platform.database.base import Model, utc_now


class AuditLog(Model):
    """One action. It has no foreign keys, so the entry remains after its actor or target is deleted."""

    __tablename__ = "audit_logs"
    __table_args__ = (
        sa.Index(None, "actor_id", "created_at"),
        sa.Index(None, "action", "created_at"),
        sa.Index(None, "created_at"),
        sa.Index(None, "target_type", "target_id", "created_at"),
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
