"""Erases again what a backup of the database restored, and finishes erasures that were interrupted."""

from __future__ import annotations

import logging
from collections.abc import Collection

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from app.platform.components import platform_of
from app.platform.database.base import db
from app.platform.personal_data import PersonalDataSource, personal_data_of
from app.platform.redis.cache import invalidate_user_caches
from app.platform.security import sessions
from app.platform.settings.declarations import settings_of
from app.platform.storage import storage_of
from app.platform.web.client_address import RequestOrigin
from app.privacy import service
from app.privacy.signatures import Signer
from app.privacy.tombstones import TombstoneStore

logger = logging.getLogger(__name__)

COMMAND = "flask erasures reapply"


def init_app(app: Flask) -> None:
    """Derive the keys that sign tombstones."""
    platform_of(app).add(Signer(settings_of(app).encryption_keys))


def tombstones_of(app: Flask) -> TombstoneStore:
    """Return the tombstones in the storage of an app."""
    return TombstoneStore(storage_of(app), platform_of(app).get(Signer))


def sync(app: Flask, *, repair: bool = False, accept_unsigned: bool = False) -> list[str]:
    """Copy tombstones between the database and the storage; log and return problems. Raises `StorageUnavailable`."""
    problems = tombstones_of(app).sync(db.session(), repair=repair, accept_unsigned=accept_unsigned)
    for problem in problems:
        logger.error("%s", problem)
    return problems


def _finish(user_id: int, sources: Collection[PersonalDataSource]) -> bool:
    """Delete the data of one user; return False if that fails, so that the others are erased."""
    session = db.session()
    try:
        return service.finish_erasure(session, user_id, sources)
    except SQLAlchemyError as error:
        session.rollback()
        logger.error("user %s is not erased completely: %s", user_id, error)  # noqa: TRY400 - the error's text is enough
        return False


def reapply(app: Flask) -> str:
    """Erase every user with a tombstone in the database; returns lines with the result."""
    session, sources = db.session(), personal_data_of(app).values()
    found = service.begin_erasures_again(session, origin=RequestOrigin(None, "erasures-reapply"))
    sessions.revoke(found.session_ids)
    invalidate_user_caches()
    failed = [user_id for user_id in (*found.restored, *found.begun) if not _finish(user_id, sources)]
    kept = [
        f"user {user_id} is the only admin and is not erased: make another user an admin, then run {COMMAND}"
        for user_id in found.kept
    ]
    kept += [f"user {user_id} is not erased completely: the log says why; the next run continues" for user_id in failed]
    finished = f", {len(found.begun)} finished" if found.begun else ""
    return "\n".join([*kept, f"erasures: {len(found.restored)} reapplied{finished}"])
