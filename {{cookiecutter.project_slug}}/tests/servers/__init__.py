"""Real servers and services for tests: on free ports, from what the machine or the wheels offer, never left behind."""

from .postgres import PostgresServer, start_postgres
from .processes import ServerError, clean_environment, free_port, wait_until
from .redis import RedisServer, start_redis
from .running import RunningService

__all__ = [
    "PostgresServer",
    "RedisServer",
    "RunningService",
    "ServerError",
    "clean_environment",
    "free_port",
    "start_postgres",
    "start_redis",
    "wait_until",
]
