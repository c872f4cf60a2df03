"""Text in UTF-8 that compares byte by byte on MariaDB and MySQL, and e-mails in their normal form."""

from __future__ import annotations

import unicodedata

import idna
import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = (
    "users",
    "user_locations",
    "audit_logs",
    "user_sessions",
    "api_keys",
    "data_files",
    "test_history",
    "encryption_keys",
    "erasures",
)
BATCH = 1000


def upgrade() -> None:
    """Convert the tables, then the e-mails that are not in their normal form. A failed run can be repeated."""
    if op.get_context().dialect.name in ("mysql", "mariadb"):
        conversion = "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} {conversion}")  # no input; nosemgrep: sql-from-strings
        op.execute("ALTER TABLE users MODIFY display_name TEXT")  # the conversion makes a longer type of it
    if not op.get_context().as_sql:
        _normalize_emails()


def downgrade() -> None:
    """Keep the tables and the e-mails: earlier releases can use both."""


def _normalize_emails() -> None:
    connection = op.get_bind()
    users = sa.table("users", sa.column("id", sa.BigInteger), sa.column("email", sa.String))
    page = sa.select(users).order_by(users.c.id).limit(BATCH)
    last_id = 0
    while rows := connection.execute(page.where(users.c.id > last_id)).all():
        for user_id, email in rows:
            if (normal := _normal_form(email)) != email:
                other = connection.scalar(sa.select(users.c.id).where(users.c.email == normal))
                if other is not None:
                    raise RuntimeError(
                        f"The users {user_id} and {other} have the same e-mail in two forms. Change one of the two, "
                        "then repeat the migration."
                    )
                connection.execute(sa.update(users).where(users.c.id == user_id).values(email=normal))
        last_id = rows[-1].id


def _normal_form(email: str) -> str:
    """Return the normal form as of this revision; an address without one stays as it is."""
    if email.isascii():
        return email  # in lower case already
    local_part, _, domain = unicodedata.normalize("NFC", email).rpartition("@")
    try:
        return f"{local_part}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return email
