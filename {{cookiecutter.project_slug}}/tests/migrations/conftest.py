"""An empty database, and migrations of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.migrations.interruptions import Migrations
from tests.servers.installed import InstalledServer, driver_url

_numbers = count(1)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        server, name = InstalledServer(url), f"migration_{os.getpid()}_{next(_numbers)}"
        yield server.create_database(name)
        server.drop_database(name)
    elif os.environ.get("TEST_DATABASE") == "sqlite":
        yield f"sqlite:///{tmp_path}/app.db"
    else:
        yield request.getfixturevalue("empty_database")


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """An engine of the empty database."""
    engine = sa.create_engine(driver_url(database_url))
    yield engine
    engine.dispose()


@pytest.fixture
def migrations(database_url: str) -> Migrations:
    return Migrations(database_url)
