"""Users, their sessions and second factors, and changes of their e-mail."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from app.accounts.email_addresses import normalize_email
from app.platform.database.base import Model, utc_now
from app.platform.database.encrypted_attribute import EncryptedAttribute
from app.platform.database.encryption import BoundText, EncryptedText

ROLES = ("user", "admin")
MAX_USER_AGENT = 200  # characters that are stored


class User(Model):
    """A user. The e-mail is stored in its normal form, so that an address has one account however it is written.

    `processing_restricted`: the user's data is kept, but no one else sees it (GDPR, article 18); also set while the
    user is being erased.
    `unverified_since` is the time of registration until the user has confirmed the e-mail; null: it counts as verified.
    The hash is empty while no password is valid: only the link of an e-mail can set one.
    """

    __tablename__ = "users"
    __table_args__ = (
        sa.UniqueConstraint("email"),
        sa.CheckConstraint(sa.column("role").in_(ROLES), name="role"),
        sa.Index(None, "created_at", "id"),
        sa.Index(None, "role", "created_at", "id"),
        sa.Index(None, "processing_restricted"),
        sa.Index(None, "unverified_since", postgresql_where=sa.text("unverified_since IS NOT NULL")),
        sa.Index(None, "suspended_at"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254))
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    role: Mapped[str] = mapped_column(sa.String(16), default="user")
    _display_name: Mapped[BoundText | None] = mapped_column("display_name", EncryptedText)
    display_name = EncryptedAttribute("_display_name")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    last_login_at: Mapped[datetime | None]
    processing_restricted: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    unverified_since: Mapped[datetime | None]
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


class EmailChange(Model):
    """A change of a user's e-mail that waits for its confirmation at the old and at the new address.

    `link_id` binds the links in the e-mails to this change. `session_id` is the session that asked for it, which stays
    when the others end.
    """

    __tablename__ = "email_changes"
    __table_args__ = (sa.UniqueConstraint("user_id"), sa.Index(None, "created_at"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(sa.String(254))
    link_id: Mapped[str] = mapped_column(sa.String(32))
    session_id: Mapped[int | None]
    old_confirmed_at: Mapped[datetime | None]
    new_confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class UserTotp(Model):
    """The secret of a user's second factor (TOTP, RFC 6238), in use once `confirmed_at` is set.

    `last_step` is the time step of the code that was accepted last: neither it nor an earlier one is accepted again.
    """

    __tablename__ = "user_totp"
    __table_args__ = (sa.UniqueConstraint("user_id"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    _secret: Mapped[BoundText | None] = mapped_column("secret", EncryptedText)
    secret = EncryptedAttribute("_secret")
    last_step: Mapped[int | None]
    confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class RecoveryCode(Model):
    """A code that replaces the second factor once; a used one is deleted."""

    __tablename__ = "recovery_codes"
    __table_args__ = (sa.UniqueConstraint("user_id", "code_hash"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    code_hash: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
