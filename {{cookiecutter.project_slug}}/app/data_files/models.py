"""Uploaded files, and the history of the tests on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.platform.database.base import Model, utc_now

STATUSES = ("pending", "running", "passed", "failed")


class DataFile(Model):
    """A user's file. Its content is an object in the storage; a storage key is never reused."""

    __tablename__ = "data_files"
    __table_args__ = (sa.UniqueConstraint("storage_key"), sa.Index(None, "user_id", "created_at", "id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(255))
    media_type: Mapped[str] = mapped_column(sa.String(64))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(sa.String(64))
    storage_key: Mapped[str] = mapped_column(sa.String(128))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class TestRun(Model):
    """A test of a file: pending, run by one worker at a time, finished with a report. It outlives its file.

    `seen_at` is the last heartbeat: when the run was sent to the queue, started, or last known to be in progress.
    `attempts` counts the starts; it distinguishes the worker that holds the lease from an earlier one.
    """

    __test__ = False  # pytest would collect the class because of its name

    __tablename__ = "test_history"
    __table_args__ = (
        sa.CheckConstraint(sa.column("status").in_(STATUSES), name="status"),
        sa.Index(None, "user_id", "created_at", "id"),
        sa.Index(None, "status", "seen_at"),
        sa.Index(None, "data_file_id"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    data_file_id: Mapped[int | None] = mapped_column(sa.ForeignKey("data_files.id", ondelete="SET NULL"))
    file_name: Mapped[str] = mapped_column(sa.String(255))
    status: Mapped[str] = mapped_column(sa.String(16), default="pending")
    report: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]
