"""Rules and queries of accounts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit import service as audit
from app.security.passwords import hash_password, verify_password


class EmailTaken(Exception):
    """There is an account with this e-mail already."""


def register(
    session: Session,
    *,
    email: str,
    password: str,
    origin: audit.Origin,
    display_name: str | None = None,
    role: str = "user",
) -> User:
    """Make an account; raises `EmailTaken`. The e-mail is given in lower case."""
    user = User(email=email, password_hash=hash_password(password), display_name=display_name, role=role)
    session.add(user)
    try:
        session.flush()
    except IntegrityError:  # of two requests at a time, the database lets one through
        session.rollback()
        raise EmailTaken from None
    audit.record(session, "user.registered", actor_id=user.id, target=("user", user.id), origin=origin)
    session.commit()
    return user


def authenticate(session: Session, *, email: str, password: str, origin: audit.Origin) -> User | None:
    """The user with this e-mail and password, or None; takes as long either way."""
    user = find(session, email)
    if not verify_password(password, user.password_hash if user else None) or user is None:
        return None
    audit.record(session, "user.signed_in", actor_id=user.id, target=("user", user.id), origin=origin)
    session.commit()
    return user


def find(session: Session, email: str) -> User | None:
    """The user with this e-mail, given in lower case."""
    return session.scalar(sa.select(User).where(User.email == email))


def get(session: Session, user_id: int) -> User | None:
    """The user with this id."""
    return session.get(User, user_id)


def note_login(session: Session, user_id: int, time: datetime) -> None:
    """Keep the time of the latest login; an older one that arrives late changes nothing."""
    newer = sa.or_(User.last_login_at.is_(None), User.last_login_at < time)
    session.execute(sa.update(User).where(User.id == user_id, newer).values(last_login_at=time))
    session.commit()
