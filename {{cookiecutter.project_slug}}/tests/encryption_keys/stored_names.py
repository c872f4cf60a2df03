"""Keys of the tests, and display names as the database stores them."""

from __future__ import annotations

import secrets
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.encryption_keys.models import EncryptionKey
from app.platform.database.base import utc_now
from app.platform.database.encryption import Keyring, place_of

OLD, NEW = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
OLD_RING, NEW_RING = Keyring([OLD]), Keyring([NEW])
LOST_RING = Keyring(["a secret that no setting contains"])


def place(user_id: int) -> str:
    """Return the place of a display name."""
    return place_of("users", "display_name", user_id)


def encrypted(keyring: Keyring, text: str, user_id: int) -> str:
    """Return a display name as the database stores it."""
    return keyring.encrypt(text, place(user_id))


def decrypted(keyring: Keyring, session: Session, user_id: int) -> str:
    """Return the text of a stored display name."""
    return keyring.decrypt(stored(session, user_id)).text_at(place(user_id))


def store(session: Session, user_id: int, value: str) -> None:
    """Write a display name without encrypting it."""
    session.execute(sa.text("UPDATE users SET display_name = :value WHERE id = :id"), {"value": value, "id": user_id})
    session.commit()


def stored(session: Session, user_id: int) -> str:
    """Return a display name without decrypting it."""
    session.rollback()
    query = sa.text("SELECT display_name FROM users WHERE id = :id")
    value: str = session.execute(query, {"id": user_id}).scalar_one()
    return value


def add_key(session: Session, kid: str, days: int) -> None:
    """Record that a key has been in use for this number of days."""
    session.add(EncryptionKey(kid=kid, first_used_at=utc_now() - timedelta(days=days)))
    session.commit()
