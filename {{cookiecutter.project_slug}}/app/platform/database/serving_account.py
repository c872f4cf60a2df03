"""Database accounts: one that owns the tables and migrates, and one that serves with fewer privileges.

If `MIGRATION_DATABASE_URL` names another account than `DATABASE_URL`, the latter is the serving account. It gets
SELECT, INSERT, UPDATE and DELETE on the tables of the models. On those that are append-only, it gets only SELECT, and
INSERT without ids that the database chooses. It owns no table, so it cannot disable a trigger.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from app.platform.database.append_only import append_only_tables, is_update_refused
from app.platform.database.base import db, migration_engine, unpooled_engine
from app.platform.database.errors import is_refused
from app.platform.settings.declarations import Settings

MARK = "created by the migrations of the service"  # the comment of a role whose password may be changed
READ, CHANGE = "SELECT", "SELECT, INSERT, UPDATE, DELETE"
VERSION_TABLE = "alembic_version"
# Sequences of columns that are no identity columns need a privilege of their own.
SEQUENCES = sa.text(
    "SELECT s.oid::regclass::text FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'a' "
    "WHERE s.relkind = 'S' AND d.refobjid = CAST(:table AS regclass)"
)
POSTGRESQL_POWERS = sa.text(
    "SELECT has_table_privilege(:table, 'UPDATE') OR has_table_privilege(:table, 'DELETE') "
    "OR has_table_privilege(:table, 'TRUNCATE') OR pg_has_role(relowner, 'MEMBER') "
    "FROM pg_class WHERE oid = CAST(:table AS regclass)"
)


# A temporary table hides the one of the same name from the rest of its session.
MAY_CREATE_TEMPORARY = sa.text(
    "SELECT current_database() FROM pg_roles WHERE rolname = :name "
    "AND has_database_privilege(oid, current_database(), 'TEMPORARY')"
)


class AccountError(Exception):
    """The serving account cannot be created; the message says what to run."""


@dataclass(frozen=True)
class Account:
    """The account of `DATABASE_URL`."""

    name: str
    password: str


def serving_account(settings: Settings) -> Account | None:
    """Return the account that serves; None if it also migrates."""
    url, migrations = make_url(settings.database_url), settings.migration_database_url
    if not migrations or not url.username or url.username == make_url(migrations).username:
        return None
    return Account(url.username, str(url.password or ""))


def ensure_account(settings: Settings) -> str:
    """Create the serving account on PostgreSQL if it is missing; returns a line with what was done, or an empty text.

    On MariaDB and MySQL, let an existing account use the database. The password of an account that this function
    created follows `DATABASE_URL`. Raises `AccountError`.
    """
    account, engine = serving_account(settings), migration_engine(settings)
    if account is None or engine.dialect.name == "sqlite":
        return ""
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                return _ensure_role(connection, account, settings)
            database = _quote(connection, engine.url.database or "")
            # Without a privilege on the database, an account cannot connect to it; the tables may not exist yet.
            grantee = _grantee(connection, account, settings)
            connection.exec_driver_sql(f"GRANT SHOW VIEW ON {database}.* TO {grantee}")  # nosemgrep: sql-from-strings
            return ""
    except DBAPIError as error:
        if not is_refused(error):
            raise
        raise AccountError(
            f"The database has no account {account.name}, and that of MIGRATION_DATABASE_URL may not create it. Run as "
            f"an administrator: CREATE ROLE {account.name} LOGIN PASSWORD '…', with the password of DATABASE_URL."
        ) from None


def _ensure_role(connection: sa.Connection, account: Account, settings: Settings) -> str:
    roles = sa.text("SELECT coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = :name")
    comment = connection.scalar(roles, {"name": account.name})
    if comment is None:
        _set_password(connection, "CREATE ROLE", account)
        name = _quote(connection, account.name)
        connection.exec_driver_sql(f"COMMENT ON ROLE {name} IS '{MARK}'")  # quoted; nosemgrep: sql-from-strings
        return f"database: created the account {account.name}"
    if comment != MARK or _can_connect(settings):
        return ""
    _set_password(connection, "ALTER ROLE", account)
    return f"database: set the password of the account {account.name}"


def _set_password(connection: sa.Connection, statement: str, account: Account) -> None:
    """Send a hash of the password, so that no log of the server contains it."""
    driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment] # psycopg's
    hashed = driver.pgconn.encrypt_password(account.password.encode(), account.name.encode(), b"scram-sha-256").decode()
    name = _quote(connection, account.name)
    connection.exec_driver_sql(f"{statement} {name} LOGIN PASSWORD '{hashed}'")  # quoted; nosemgrep: sql-from-strings


def _can_connect(settings: Settings) -> bool:
    try:
        unpooled_engine(settings).connect().close()
    except OperationalError:
        return False
    return True


def grant(connection: sa.Connection, settings: Settings) -> None:
    """Grant the serving account what it needs on each existing table, and take back what it must not have; commits.

    The connection is that of the owner. Without a serving account, nothing happens.
    """
    account = serving_account(settings)
    if account is None or connection.dialect.name == "sqlite":
        return
    grantee = _grantee(connection, account, settings)
    existing = set(sa.inspect(connection).get_table_names())
    for table in sorted(existing & {*db.metadata.tables, VERSION_TABLE}):
        for statement in _statements(connection, table, grantee, _privileges(connection, table)):
            connection.exec_driver_sql(statement)
    if connection.dialect.name == "postgresql":
        _revoke_temporary_tables(connection, account.name, grantee)
    connection.commit()


def _privileges(connection: sa.Connection, name: str) -> str:
    """Return what the serving account may do with a table; if it is append-only, the database chooses its ids.

    On MariaDB and MySQL, a trigger sees to that: there, RETURNING needs the privilege to insert the column.
    """
    table = db.metadata.tables.get(name)
    if table is None:
        return READ
    if table not in append_only_tables(db.metadata):
        return CHANGE
    if connection.dialect.name != "postgresql":
        return "SELECT, INSERT"
    generated = table.autoincrement_column
    columns = [column["name"] for column in sa.inspect(connection).get_columns(name)]
    chosen = [_quote(connection, column) for column in columns if generated is None or column != generated.name]
    return f"SELECT, INSERT ({', '.join(chosen)})"


def _revoke_temporary_tables(connection: sa.Connection, name: str, grantee: str) -> None:
    """Take back the right that PostgreSQL grants to every account; only the owner of the database can do that."""
    if database := connection.scalar(MAY_CREATE_TEMPORARY, {"name": name}):
        statement = f"REVOKE TEMPORARY ON DATABASE {_quote(connection, database)} FROM PUBLIC, {grantee}"
        connection.exec_driver_sql(statement)  # quoted; nosemgrep: sql-from-strings


def _statements(connection: sa.Connection, table: str, grantee: str, privileges: str) -> list[str]:
    name = _quote(connection, table)
    granted = f"GRANT {privileges} ON {name} TO {grantee}"
    if connection.dialect.name != "postgresql":
        return [granted]
    sequences = connection.scalars(SEQUENCES, {"table": table})
    return [
        f"REVOKE ALL ON {name} FROM {grantee}",
        granted,
        *(f"GRANT USAGE ON SEQUENCE {sequence} TO {grantee}" for sequence in sequences),
    ]


def _grantee(connection: sa.Connection, account: Account, settings: Settings) -> str:
    """Return the account as GRANT names it; on PostgreSQL, let it use the schema."""
    if connection.dialect.name != "postgresql":  # an account has a host, too, which only its own connection knows
        with unpooled_engine(settings, db.engine.url.set(database="")).connect() as own:
            user, _, host = own.execute(sa.text("SELECT CURRENT_USER()")).scalar_one().rpartition("@")
        return f"'{user}'@'{host}'".replace("%", "%%")  # the driver formats statements
    schema = _quote(connection, connection.execute(sa.text("SELECT current_schema()")).scalar_one())
    grantee = _quote(connection, account.name)
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {grantee}")  # quoted; nosemgrep: sql-from-strings
    return grantee


def may_change_append_only_tables(connection: sa.Connection) -> bool:
    """Whether the account of a connection may change the rows of an append-only table, or owns one."""
    tables = [table.name for table in append_only_tables(db.metadata)]
    if connection.dialect.name == "postgresql":
        return any(connection.scalar(POSTGRESQL_POWERS, {"table": table}) for table in tables)
    return connection.dialect.name != "sqlite" and not all(is_update_refused(connection, table) for table in tables)


def _quote(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
