"""Commands for stored files without a row: `flask orphans`."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

from app.data_files import orphans
from app.data_files.settings import DataFilesSettings
from app.platform.database.base import db
from app.platform.operations.storage_owner import ForeignStorage, require_ownership
from app.platform.settings.declarations import settings_of
from app.platform.storage import StorageUnavailable, storage_of

orphans_group = AppGroup("orphans", help="Manage stored files without a row in the database.")


@orphans_group.command("clean")
@click.option("--all", "any_share", is_flag=True, help="Quarantine them whatever their share of all files is.")
def clean(any_share: bool) -> None:
    """Quarantine stored files without a row, move back those whose row exists again, and delete expired ones."""
    session, storage, settings = db.session(), storage_of(current_app), settings_of(current_app, DataFilesSettings)
    share = 1 if any_share else settings.MAX_ORPHANS_PERCENT / 100
    try:
        require_ownership(session, storage)
        result = orphans.clean(session, storage, days=settings.QUARANTINE_DAYS, max_share=share)
    except StorageUnavailable:
        raise click.ClickException("The storage is unavailable. Try again later.") from None
    except (ForeignStorage, orphans.TooManyOrphans) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"stored files without a row: {result}")
