"""An audit log in a database of its own, which a test may tamper with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.audit import service
from app.audit.models import AuditLog, AuditSeal
from app.platform.database.append_only import restore, triggers
from app.platform.database.base import db
from app.platform.web.client_address import RequestOrigin
from tests.conftest import migrate
from tests.environments import basic_environment
from tests.unique_values import unique_number

ORIGIN = RequestOrigin("192.0.2.7", "of-a-test")
TABLES = (AuditLog.__tablename__, AuditSeal.__tablename__)


@dataclass
class LogUnderTest:
    """The audit log of one database; entries can be sealed at once."""

    environment: Mapping[str, str]
    engine: sa.Engine
    apps: dict[tuple[tuple[str, str], ...], Flask]  # by the settings that differ

    def record(self, count: int = 1) -> list[int]:
        """Record entries and return their ids."""
        with Session(self.engine) as session:
            for number in range(count):
                service.record(session, "test.done", actor_id=7, target=("user", 7), origin=ORIGIN, number=number)
            session.commit()
            return list(session.scalars(sa.select(AuditLog.id).order_by(AuditLog.id)))[-count:]

    def run(self, *arguments: str, **settings: str) -> Result:
        """Run a flask command."""
        return self.app(**settings).test_cli_runner().invoke(args=arguments)

    def app(self, **settings: str) -> Flask:
        """Return an app with these settings."""
        key = tuple(sorted(settings.items()))
        if key not in self.apps:
            self.apps[key] = create_app({**self.environment, **settings})
        return self.apps[key]

    def seal(self, **settings: str) -> str:
        """Seal all entries."""
        result = self.run("audit-log", "seal", **settings)
        assert result.exit_code == 0, result.output
        return result.output

    def verify(self, **settings: str) -> tuple[int, str]:
        """Return the exit status and the output of the verification."""
        result = self.run("audit-log", "verify", **settings)
        return result.exit_code, result.output

    def tamper(self, statement: str, **parameters: Any) -> None:
        """Run a statement as the owner of the tables, who switches the triggers off and on again."""
        with self.unprotected(), self.engine.begin() as connection:
            connection.execute(sa.text(statement), parameters)

    @contextmanager
    def unprotected(self) -> Iterator[None]:
        """Switch the triggers off for a while."""
        self._execute(*self._disabling())
        yield
        with self.engine.begin() as connection:
            for table in TABLES:
                restore(connection, db.metadata.tables[table])

    def _disabling(self) -> list[str]:
        if self.engine.dialect.name == "postgresql":
            return [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in TABLES]
        tables = [db.metadata.tables[name] for name in TABLES]
        names = [trigger.name for table in tables for trigger in triggers(self.engine.dialect.name, table)]
        return [f"DROP TRIGGER {name}" for name in names]

    def _execute(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


CreateDatabase = Callable[[], str]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "app.db"
    migrate(basic_environment(DATABASE_URL=f"sqlite:///{file}"))
    return file


@pytest.fixture
def own_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database of the selected kind for one test."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield from _database_of_server(url)
    elif os.environ.get("TEST_DATABASE") == "sqlite":
        file = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "app.db")
        yield f"sqlite:///{file}"
    else:
        yield request.getfixturevalue("migrated_database")


def _database_of_server(url: str) -> Iterator[str]:
    name = f"audit_{unique_number()}"
    server = sa.create_engine(sa.make_url(url).set(drivername="mysql+pymysql"))
    with server.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    own = sa.make_url(url).set(database=name).render_as_string(hide_password=False)
    migrate(basic_environment(DATABASE_URL=own))
    yield own
    with server.begin() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")


@pytest.fixture
def log(own_database: str, tmp_path: Path) -> Iterator[LogUnderTest]:
    """An empty audit log."""
    settings = {"STORAGE_URL": (tmp_path / "storage").as_uri(), "AUDIT_SEAL_DELAY_SECONDS": "0"}
    environment = basic_environment(DATABASE_URL=own_database, **settings)
    app = create_app(environment)
    with app.app_context():
        log = LogUnderTest(environment, db.engine, {(): app})
    yield log
    for each in log.apps.values():
        with each.app_context():
            db.engine.dispose()
