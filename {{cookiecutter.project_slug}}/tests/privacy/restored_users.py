"""Users that a backup restored, and the command that erases them again."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.privacy.models import Erasure
from tests.accounts.factory import make_session, make_user


def restore(session: Session, user_id: int, created_at: datetime) -> User:
    """Insert an erased user again, as the restore of an older backup does."""
    user = make_user(session, id=user_id, created_at=created_at)
    make_session(session, user)
    session.execute(sa.delete(Erasure))
    session.commit()
    return user


def storage_key(user: User) -> str:
    return f"erasures/{user.id}-{user.created_at:%Y%m%dT%H%M%S%f}Z.json"


def user_ids(session: Session) -> list[int]:
    session.rollback()
    return list(session.scalars(sa.select(User.id).order_by(User.id)))


def reapply(app: Flask) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["erasures", "reapply"])
    return result.exit_code, result.output
