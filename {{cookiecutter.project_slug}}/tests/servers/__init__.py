"""Real servers and services for tests: on free ports, with programs of the machine or of wheels, removed at the end."""

from .certificates import Certificates, create_certificates
from .postgres import PostgresServer, start_postgres
from .processes import ServerError, clean_environment, free_port, wait_until
from .redis import RedisServer, start_redis
from .running import RunningService
from .s3 import S3Server, start_s3
from .tls_relay import TlsRelay

__all__ = [
    "Certificates",
    "PostgresServer",
    "RedisServer",
    "RunningService",
    "S3Server",
    "ServerError",
    "TlsRelay",
    "clean_environment",
    "create_certificates",
    "free_port",
    "start_postgres",
    "start_redis",
    "start_s3",
    "wait_until",
]
