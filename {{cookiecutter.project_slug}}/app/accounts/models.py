"""Users, and where they are signed in."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Model, now
from app.security.encryption import EncryptedText

ROLES = ("user", "admin")


class User(Model):
    """Somebody who can sign in. The e-mail is kept in lower case, so that there is one account for it."""

    __tablename__ = "users"
    __table_args__ = (
        sa.UniqueConstraint("email"),
        sa.CheckConstraint(sa.column("role").in_(ROLES), name="role"),
        sa.Index(None, "created_at", "id"),
        sa.Index(None, "role", "created_at", "id"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254))
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    role: Mapped[str] = mapped_column(sa.String(16), default="user")
    display_name: Mapped[str | None] = mapped_column(EncryptedText)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    last_login_at: Mapped[datetime | None]


class UserSession(Model):
    """A sign-in and what came of it: the chain of refresh tokens, of which only the newest is good.

    Refresh tokens are signed, so that only the id of the newest needs keeping.
    """

    __tablename__ = "user_sessions"
    __table_args__ = (sa.Index(None, "user_id"), sa.Index(None, "ended_at"), sa.Index(None, "expires_at"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    refresh_id: Mapped[str] = mapped_column(sa.String(32))
    address: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(default=now)
    refreshed_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
