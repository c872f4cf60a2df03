"""Users and their sessions."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from app.accounts.email_addresses import normalize_email
from app.platform.database.base import Model, utc_now
from app.platform.database.encryption import EncryptedText

ROLES = ("user", "admin")
MAX_USER_AGENT = 200  # characters that are stored


class User(Model):
    """A user. The e-mail is stored in its normal form, so that an address has one account however it is written."""

    __tablename__ = "users"
    __table_args__ = (
        sa.UniqueConstraint("email"),
        sa.CheckConstraint(sa.column("role").in_(ROLES), name="role"),
        sa.Index(None, "created_at", "id"),
        sa.Index(None, "role", "created_at", "id"),
        sa.Index(None, "suspended_at"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254))
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    role: Mapped[str] = mapped_column(sa.String(16), default="user")
    display_name: Mapped[str | None] = mapped_column(EncryptedText)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    last_login_at: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]

    @validates("email")
    def _normalize(self, _name: str, email: str) -> str:
        return normalize_email(email)


class UserSession(Model):
    """A login and its chain of refresh tokens, of which only the newest is valid.

    Refresh tokens are signed, so the table stores only the id of the newest (`refresh_id`).
    """

    __tablename__ = "user_sessions"
    __table_args__ = (
        sa.Index(None, "user_id", "created_at", "id"),
        sa.Index(None, "ended_at"),
        sa.Index(None, "expires_at"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    refresh_id: Mapped[str] = mapped_column(sa.String(32))
    address: Mapped[str | None] = mapped_column(sa.String(64))
    user_agent: Mapped[str | None] = mapped_column(sa.String(MAX_USER_AGENT))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    refreshed_at: Mapped[datetime] = mapped_column(default=utc_now)
    authenticated_at: Mapped[datetime | None] = mapped_column(default=utc_now)  # None: at the creation
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    @property
    def last_authenticated_at(self) -> datetime:
        """When the user last proved the password in this session."""
        return self.authenticated_at or self.created_at
