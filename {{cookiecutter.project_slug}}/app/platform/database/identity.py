"""The identity of the database: a random id, by which a storage knows the database that it belongs to."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.platform.database.base import Model
from app.platform.database.deferred_commit import commit_now

ONLY_ROW = 1


class DatabaseIdentity(Model):
    """The only row: the id of this database, which its backups contain too."""

    __tablename__ = "database_identity"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[str] = mapped_column(sa.String(32))


def database_id(session: Session) -> str:
    """Return the id of the database; the first call creates it and commits."""
    identity = session.get(DatabaseIdentity, ONLY_ROW)
    if identity is None:
        session.add(DatabaseIdentity(id=ONLY_ROW, value=uuid.uuid4().hex))
        try:
            commit_now(session)  # the storage keeps this id, also if the request fails
        except IntegrityError:  # another process created it at the same time
            session.rollback()
        identity = session.get_one(DatabaseIdentity, ONLY_ROW)
    return identity.value
