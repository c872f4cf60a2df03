"""Uploaded files, and the history of tests on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Model, now

STATUSES = ("pending", "running", "passed", "failed")


class DataFile(Model):
    """A file of a user's; its content is an object in the storage, under a key that is never used again."""

    __tablename__ = "data_files"
    __table_args__ = (sa.UniqueConstraint("storage_key"), sa.Index(None, "user_id", "created_at", "id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(255))
    media_type: Mapped[str] = mapped_column(sa.String(64))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(sa.String(64))
    storage_key: Mapped[str] = mapped_column(sa.String(128))
    created_at: Mapped[datetime] = mapped_column(default=now)


class TestRun(Model):
    """A test of a file: it waits, is run by one worker at a time, and ends with a report. It outlives its file.

    `seen_at` is the last sign of it: that it was sent, begun, or is still being worked on. `attempts` counts how often
    it was begun, and tells the worker that has it now from one that had it earlier.
    """

    __test__ = False  # to pytest, which takes the name for a test's

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
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    seen_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
