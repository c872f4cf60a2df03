"""Forgetting people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.administration import LastAdmin, NoSuchUser
from app.accounts.models import User
from app.audit import service as audit
from app.personal_data import Holding
from app.privacy import tombstones
from app.privacy.models import Erasure


def erase(session: Session, user_id: int, holdings: Iterable[Holding], *, origin: audit.Origin) -> Erasure:
    """Forget a user; what remains is the tombstone, which names the sessions to be ended, and the audit log.

    Raises `NoSuchUser`, and `LastAdmin` if nobody else could administer the service.
    """
    user = _lock(session, user_id)
    ended = list(accounts.end_sessions(session, user.id))
    erasure = Erasure(user_id=user.id, user_created_at=user.created_at, session_ids=ended)
    session.add(erasure)
    _forget(session, user, holdings)
    audit.record(session, audit.ERASED, actor_id=user_id, target=("user", user_id), origin=origin)
    session.commit()
    return erasure


def erase_again(session: Session, holdings: Iterable[Holding], *, origin: audit.Origin) -> tuple[int, Sequence[int]]:
    """Forget everybody who has a tombstone and is back, out of a backup; returns how many, and sessions to be ended."""
    back, ended = tombstones.who_is_back(session), list[int]()
    for user_id in back:
        ended += accounts.end_sessions(session, user_id)
        _forget(session, session.get_one(User, user_id), holdings)
        audit.record(
            session,
            audit.ERASED,
            actor_id=None,
            target=("user", user_id),
            origin=origin,
            reason="restored from a backup",
        )
        session.commit()
    return len(back), ended


def sessions_erased_since(session: Session, time: datetime) -> Sequence[int]:
    """The ids of sessions that lived when their user was erased, after a time."""
    return list(chain(*session.scalars(sa.select(Erasure.session_ids).where(Erasure.erased_at > time))))


def _lock(session: Session, user_id: int) -> User:
    """The user, locked with all admins, so that of two who leave at the same time one remains."""
    concerned = sa.select(User).where(sa.or_(User.id == user_id, User.role == "admin")).order_by(User.id)
    locked = session.scalars(concerned.with_for_update().execution_options(populate_existing=True)).all()
    user = next((user for user in locked if user.id == user_id), None)
    if user is None:
        raise NoSuchUser
    if user.role == "admin" and len(locked) == 1:
        raise LastAdmin
    return user


def _forget(session: Session, user: User, holdings: Iterable[Holding]) -> None:
    for holding in holdings:
        if holding.forget:
            holding.forget(session, user.id)
    session.delete(user)
