"""What to do about an error of the database during a migration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic.util import CommandError
from sqlalchemy import exc

from app.platform.database.errors import UNAVAILABLE, classify, is_refused

AGAIN = "then run the same command again: it continues where this one stopped."
LOCKED = (
    "Another transaction has used the table for longer than MIGRATION_LOCK_TIMEOUT_MS. Find it in pg_stat_activity "
    f"(PostgreSQL) or SHOW PROCESSLIST (MariaDB), wait until it ends or end it, {AGAIN}"
)
RIGHTS = (
    "The account lacks a right that the migration needs. Set MIGRATION_DATABASE_URL to the owner of the tables, and "
    f"run `flask init-db` (Docker Compose: docker compose run --rm migrate), or grant the right, {AGAIN}"
)
TOO_LONG = f"The statement took longer than MIGRATION_STATEMENT_TIMEOUT_MS. Raise that setting, {AGAIN}"
DEADLOCK = f"The migration and another transaction waited for each other. Wait until the traffic is lower, {AGAIN}"
NO_CONNECTION = f"The database does not answer, or has closed the connection. Make it available, {AGAIN}"
LOCK_LOST = (
    "The connection that held the migration lock was lost, so another migration may have run at the same time. Compare "
    f"`flask db current` with `flask db heads`, {AGAIN}"
)
# By SQLSTATE of PostgreSQL, number of MariaDB and MySQL, and name of SQLite.
ADVICE = {
    **dict.fromkeys(("55P03", 1205, "SQLITE_BUSY", "SQLITE_LOCKED"), LOCKED),
    **dict.fromkeys(("57014", 1969, 3024), TOO_LONG),
    **dict.fromkeys(("40P01", 1213), DEADLOCK),
}


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Raise `CommandError`, which says what to do, for an error of the database that is not a bug of a revision."""
    try:
        yield
    except exc.DBAPIError as error:
        advice = _advice(error)
        if advice is None:
            raise
        reason = str(error.orig).strip().splitlines()[0]
        raise CommandError(f"{reason}. {advice} docs/migrations.md explains it.") from error


def _advice(error: exc.DBAPIError) -> str | None:
    if is_refused(error):
        return RIGHTS
    original = error.orig
    codes = (
        original.args[0] if original and original.args else None,
        getattr(original, "sqlstate", None),
        getattr(original, "sqlite_errorname", None),
    )
    without_code = NO_CONNECTION if classify(error) is UNAVAILABLE else None
    return next((ADVICE[code] for code in codes if code in ADVICE), without_code)
