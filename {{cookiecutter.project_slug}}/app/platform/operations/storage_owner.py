"""Which database a storage belongs to, so that nothing is deleted on behalf of another one.

A storage contains the id of its database (`database-id`). A restored backup of the database has the same id.
"""

from __future__ import annotations

import logging

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from app.platform.components import platform_of
from app.platform.database.base import db
from app.platform.database.identity import database_id
from app.platform.operations.startup import register_seed
from app.platform.settings.declarations import settings_of
from app.platform.storage import Storage, StorageUnavailable, storage_of
from app.platform.web.problems import service_unavailable

logger = logging.getLogger(__name__)

KEY, MAX_BYTES = "database-id", 64
ADOPT = "flask storage adopt"

storage_commands = AppGroup("storage", help="Manage the storage of files.")


class ForeignStorage(Exception):
    """The storage belongs to another database, or to none."""


class Claimed(set[int]):
    """The ids of the `Storage` objects of one app that were claimed or checked before."""


def init_app(app: Flask) -> None:
    """Add the command, and make `flask init-db` claim the storage."""
    app.cli.add_command(storage_commands)
    register_seed(app, claim_at_startup)


def require_ownership(session: Session, storage: Storage) -> None:
    """Raise `ForeignStorage` unless the storage belongs to this database; raises `StorageUnavailable`."""
    owner = _owner(storage)
    if owner != database_id(session):
        reason = "another database" if owner else "no database yet"
        raise ForeignStorage(
            f"The storage belongs to {reason}. If DATABASE_URL and STORAGE_URL are right, run: {ADOPT}"
        )


def claim(session: Session, storage: Storage) -> None:
    """Make this database the owner of the storage if it has none; raises `StorageUnavailable`."""
    if not _owner(storage):
        adopt(session, storage)


def claim_once(session: Session) -> None:
    """Claim the storage of the current app, once per process: before a file is stored.

    In production, a storage of another database is a 503 problem: that database's job would remove the file. In other
    environments, developers often recreate the database, so the new one becomes the owner.
    """
    storage, claimed = storage_of(current_app), platform_of(current_app).get_or_create(Claimed)
    if id(storage) in claimed:
        return
    claim(session, storage)
    try:
        require_ownership(session, storage)
    except ForeignStorage as error:
        logger.error("%s", error)  # noqa: TRY400 - the error's text is enough
        if settings_of(current_app).in_production:
            raise service_unavailable("Files cannot be stored right now.") from None
        adopt(session, storage)
    session.rollback()  # the request goes on with the storage, which needs no database connection
    claimed.add(id(storage))


def adopt(session: Session, storage: Storage) -> None:
    """Make this database the owner of the storage and replace any earlier owner; raises `StorageUnavailable`."""
    storage.put(KEY, database_id(session).encode())


def claim_at_startup() -> str:
    """Claim the storage if it has no owner; returns a line with the result."""
    session, storage = db.session(), storage_of(current_app)
    try:
        claim(session, storage)
        require_ownership(session, storage)
    except StorageUnavailable:
        return "storage: unavailable; the next upload claims it for this database"
    except ForeignStorage as error:
        return f"storage: warning: {error}"
    return "storage: belongs to this database"


@storage_commands.command("adopt")
def adopt_storage() -> None:
    """Make this database the owner of the storage, for example after the database was recreated."""
    try:
        adopt(db.session(), storage_of(current_app))
    except StorageUnavailable:
        raise click.ClickException("The storage is unavailable. Try again later.") from None
    click.echo("the storage belongs to this database")


def _owner(storage: Storage) -> str:
    """Return the id of the database that the storage belongs to; empty if there is none."""
    try:
        with storage.open(KEY) as file:
            return file.read(MAX_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
