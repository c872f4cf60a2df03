"""The protection of append-only tables: checks at the start, and the command that restores triggers."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

from app.platform.database.append_only import append_only_tables, restore, trigger_problems
from app.platform.database.base import db, migration_engine
from app.platform.database.serving_account import may_change_append_only_tables
from app.platform.settings.declarations import Settings, settings_of

append_only = AppGroup("append-only", help="Manage the triggers that protect append-only tables.")


def problems() -> list[str]:
    """Return a problem for each append-only table whose triggers do not protect it."""
    with db.engine.connect() as connection:
        return trigger_problems(connection, append_only_tables(db.metadata))


def check(settings: Settings) -> None:
    """Raise `ClickException` if a table has not exactly its triggers; in production, warn of too many privileges."""
    if found := problems():
        raise click.ClickException("\n".join(found))
    if not settings.in_production:
        return
    with db.engine.connect() as connection:
        if may_change_append_only_tables(connection):
            click.echo(
                "warning: the database account of DATABASE_URL may change append-only tables, such as the audit log. "
                "Set MIGRATION_DATABASE_URL to the owner of the tables, and DATABASE_URL to another account "
                "(docs/deployment.md, Database accounts).",
                err=True,
            )


@append_only.command("restore")
def restore_triggers() -> None:
    """Create the triggers of the append-only tables again, with the account of migrations."""
    tables = append_only_tables(db.metadata)
    with migration_engine(settings_of(current_app)).begin() as connection:
        for table in tables:
            restore(connection, table)
    click.echo(f"append-only: {', '.join(table.name for table in tables)}")
