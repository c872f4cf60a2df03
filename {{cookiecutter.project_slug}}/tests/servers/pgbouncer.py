"""A real PgBouncer in transaction mode for tests."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

from .postgres import unprivileged_account
from .processes import ServerError
from .server import Server

PACKAGE = "Debian's package pgbouncer"
SBIN = "/usr/sbin"  # not on the PATH of every account


class PgBouncerServer(Server):
    """A pooler with few server connections, so that a client changes them often."""

    name = "pgbouncer"

    def __init__(self, database_url: str, pool_size: int = 2) -> None:
        super().__init__(unprivileged_account())
        self._program = find_pgbouncer()
        self._database = make_url(database_url)
        self._pool_size = pool_size

    @property
    def url(self) -> str:
        """The URL of the same database through the pooler."""
        return self._address().render_as_string(hide_password=False)

    def command(self) -> list[str]:
        database = self._database
        # The password is in a file: other accounts can read command lines.
        self._write("users.txt", [f'"{database.username}" "{database.password}"'])
        settings = self._write(
            "pgbouncer.ini",
            [
                "[databases]",
                f"* = host={database.host} port={database.port}",
                "[pgbouncer]",
                "listen_addr = 127.0.0.1",
                f"listen_port = {self.port}",
                "unix_socket_dir =",
                "pool_mode = transaction",
                f"default_pool_size = {self._pool_size}",
                "server_round_robin = 1",
                "auth_type = scram-sha-256",
                f"auth_file = {self.folder}/users.txt",
            ],
        )
        return [self._program, str(settings)]

    def is_ready(self) -> bool:
        try:
            with psycopg.connect(self.url, prepare_threshold=None, connect_timeout=5) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def _address(self) -> URL:
        return self._database.set(port=self.port)

    def _write(self, name: str, lines: Sequence[str]) -> Path:
        file = Path(self.folder, name)
        file.write_text("\n".join([*lines, ""]))
        file.chmod(0o600)
        if self.account:
            os.chown(file, self.account.user, self.account.group)
        return file


def find_pgbouncer() -> str:
    """Return the program; raises `ServerError` if the machine has none."""
    path = os.pathsep.join([os.environ.get("PATH", ""), SBIN])
    if found := shutil.which("pgbouncer", path=path):
        return found
    message = f"pgbouncer is missing. Install {PACKAGE}."
    raise ServerError(message)


def start_pgbouncer(database_url: str) -> PgBouncerServer:
    """Start a pooler for the server of a database on a free port of 127.0.0.1."""
    return PgBouncerServer(database_url).start_on_a_free_port()
