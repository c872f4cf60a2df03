"""Commands for erasures: `flask erasures`."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

from app.platform.storage import StorageUnavailable
from app.privacy import reapply

erasures = AppGroup("erasures", help="Manage the erasure of users.")


@erasures.command("reapply")
@click.option("--sign", is_flag=True, help="Also sign the erasures in the database that are not signed, if genuine.")
def reapply_erasures(*, sign: bool) -> None:
    """Erase again every erased user that a backup restored."""
    try:
        problems = reapply.sync(current_app, repair=True, accept_unsigned=sign)
    except StorageUnavailable:
        raise click.ClickException("The storage is unavailable, so the list of erased users is incomplete.") from None
    click.echo("\n".join([*problems, reapply.reapply(current_app)]))


def reapply_at_startup() -> str:
    """Erase again every erased user that a backup restored; returns a line with the result.

    If the storage is unavailable, only the tombstones in the database are applied.
    """
    try:
        problems = reapply.sync(current_app)
    except StorageUnavailable:
        return f"{reapply.reapply(current_app)}; the storage is unavailable: run flask erasures reapply later"
    return "\n".join([*problems, reapply.reapply(current_app)])
