"""Real servers and services for tests: on free ports, from what the machine or the wheels offer, never left behind."""

from .postgres import PostgresServer, start_postgres
from .processes import ServerError, clean_environment, free_port, wait_until
from .redis import RedisServer, start_redis
from .running import RunningService
from .s3 import S3Server, start_s3

__all__ = [
    "PostgresServer",
    "RedisServer",
    "RunningService",
    "S3Server",
    "ServerError",
    "clean_environment",
    "free_port",
    "start_postgres",
    "start_redis",
    "start_s3",
    "wait_until",
]
