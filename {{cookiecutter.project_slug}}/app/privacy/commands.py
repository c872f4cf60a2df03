"""Commands for erasures: `flask erasures`."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

from app.platform.database.base import db
from app.platform.personal_data import personal_data_of
from app.platform.security import sessions
from app.platform.storage import StorageUnavailable, storage_of
from app.platform.web.client_address import RequestOrigin
from app.privacy import service, tombstones

erasures = AppGroup("erasures", help="Manage the erasure of users.")


@erasures.command("reapply")
def reapply() -> None:
    """Erase again every erased user that a backup restored."""
    try:
        _sync()
    except StorageUnavailable:
        raise click.ClickException("The storage is unavailable, so the list of erased users is incomplete.") from None
    click.echo(_reapply())


def reapply_erasures() -> str:
    """Erase again every erased user that a backup restored; returns a line with the result.

    If the storage is unavailable, only the tombstones in the database are applied.
    """
    try:
        _sync()
    except StorageUnavailable:
        return f"{_reapply()}; the storage is unavailable: run flask erasures reapply later"
    return _reapply()


def _sync() -> None:
    tombstones.sync(db.session(), storage_of(current_app))


def _reapply() -> str:
    sources = personal_data_of(current_app).values()
    count, session_ids = service.reapply_erasures(db.session(), sources, origin=RequestOrigin(None, "erasures-reapply"))
    sessions.revoke(session_ids)
    return f"erasures: {count} reapplied"
