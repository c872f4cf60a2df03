"""Whether a user shares the latest position with other users; no one does by default."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.audit import service as audit
from app.locations.models import LocationSharing
from app.platform.web.client_address import RequestOrigin


class NoSuchUser(Exception):
    """The user was deleted."""


def find(session: Session, user_id: int) -> LocationSharing | None:
    """Return the row of a user who shares the latest position, or None."""
    return session.scalar(sa.select(LocationSharing).where(LocationSharing.user_id == user_id))


def change(session: Session, user_id: int, *, shared: bool, origin: RequestOrigin) -> LocationSharing | None:
    """Start or stop sharing, commit, and return the row if the user shares now; raises `NoSuchUser`."""
    if not accounts.lock(session, user_id):  # concurrent requests of the user wait here
        raise NoSuchUser
    current = find(session, user_id)
    if shared is (current is not None):
        session.rollback()
        return current
    if current is None:
        current = LocationSharing(user_id=user_id)
        session.add(current)
    else:
        session.delete(current)
        current = None
    action = "locations.sharing_started" if shared else "locations.sharing_stopped"
    audit.record(session, action, actor_id=user_id, target=("user", user_id), origin=origin)
    session.commit()
    return current
