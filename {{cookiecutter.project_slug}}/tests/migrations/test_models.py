"""The revisions create what the models declare, with what `flask db check` does not compare."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.platform.database.base import db
from tests.migrations.interruptions import SCHEMA_QUERIES
from tests.plans import long_tables
from tests.servers import PostgresServer
from tests.servers.installed import InstalledServer, driver_url

pytestmark = [pytest.mark.running, pytest.mark.req("D1", "D2")]

MISSING = "Models and revisions differ. Write a revision: docs/migrations.md"


@pytest.fixture
def migrated(database_server: PostgresServer | InstalledServer) -> Iterator[sa.Engine]:
    """A database that the revisions created."""
    with long_tables(database_server, f"migrated_{secrets.token_hex(4)}", lambda _: []) as engine:
        yield engine


@pytest.fixture
def modelled(database_server: PostgresServer | InstalledServer) -> Iterator[sa.Engine]:
    """A database that the models created."""
    name = f"modelled_{secrets.token_hex(4)}"
    engine = sa.create_engine(driver_url(database_server.create_database(name)))
    db.metadata.create_all(engine)
    yield engine
    engine.dispose()
    database_server.drop_database(name)


def declarations(engine: sa.Engine) -> set[str]:
    """Return the columns, constraints, defaults and indexes of all tables."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            rows = [row for query in SCHEMA_QUERIES["postgresql"][:3] for row in connection.exec_driver_sql(query)]
            return {" ".join(map(str, row)) for row in rows if "alembic_version" not in str(row)}
        tables = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
        created = {table: connection.exec_driver_sql(f"SHOW CREATE TABLE {table}").one()[1] for table in tables}
    return {f"{table}: {line.strip(' ,')}" for table, text in created.items() for line in text.splitlines()}


@pytest.mark.fault("F63")
def test_revisions_create_what_the_models_declare(migrated: sa.Engine, modelled: sa.Engine) -> None:
    assert declarations(migrated) ^ declarations(modelled) == set(), MISSING
