"""Databases on a server that is installed already, such as MariaDB, for `TEST_DATABASE_URL`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import make_url

DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}


def driver_url(url: str) -> sa.URL:
    """Return the URL with the installed driver."""
    parts = make_url(url)
    return parts.set(drivername=DRIVERS.get(parts.get_backend_name(), parts.drivername))


class InstalledServer:
    """The server of a database URL; its user may create databases."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._is_postgresql = self._url.get_backend_name() == "postgresql"
        self._engine = sa.create_engine(driver_url(url), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")

    def create_database(self, name: str) -> str:
        """Create an empty database, in place of one of the same name, and return its URL.

        On MariaDB it has the character set latin1: the service must not depend on the default.
        """
        self.drop_database(name)
        self._execute(f"CREATE DATABASE {name} {'' if self._is_postgresql else 'CHARACTER SET latin1'}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists."""
        self._execute(f"DROP DATABASE IF EXISTS {name} {'WITH (FORCE)' if self._is_postgresql else ''}")

    def _execute(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(statement)
