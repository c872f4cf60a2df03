"""Users."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Model, now

ROLES = ("user", "admin")


class User(Model):
    """Somebody who can sign in. The e-mail is kept in lower case, so that there is one account for it."""

    __tablename__ = "users"
    __table_args__ = (sa.UniqueConstraint("email"), sa.CheckConstraint(sa.column("role").in_(ROLES), name="role"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254))
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    role: Mapped[str] = mapped_column(sa.String(16), default="user")
    display_name: Mapped[str | None] = mapped_column(sa.String(100))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    last_login_at: Mapped[datetime | None]
