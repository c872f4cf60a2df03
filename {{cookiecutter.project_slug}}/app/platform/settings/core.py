"""The settings that every process reads: service, database, Redis and tasks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.engine import make_url

from app.platform.settings.database_url import DATABASE_SCHEMES, SSL_MODES, database_url_problem
from app.platform.settings.field_types import HTTP_SCHEMES
from app.platform.settings.fields import (
    boolean,
    choice,
    csv_list,
    integer,
    number,
    redis_url,
    secret,
    text,
    url,
)

# The installed driver of each database; it replaces a driver in DATABASE_URL.
DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
PROJECT_SLUG = "{{ cookiecutter.project_slug }}"


@dataclass(frozen=True, kw_only=True)
class CoreSettings:
    """The first part of `app.platform.settings.declarations.Settings`."""

    APP_ENV: str = choice(
        "development",
        ("development", "testing", "production"),
        "The environment; production rejects SQLite, missing secrets and CORS_ORIGINS=*.",
        aliases=("FLASK_ENV", "FLASK_CONFIG", "APP_CONFIG"),
        section="Service",
    )
    SERVICE_NAME: str = text(
        PROJECT_SLUG,
        "Name of the service in logs, traces, tokens and database connections.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        error="Must be letters, digits, dots, underscores and dashes, at most 63, and start with a letter or digit.",
    )
    PUBLIC_BASE_URL: str | None = url(
        HTTP_SCHEMES, "Public URL of the service.", warning="e-mails contain no links to the service"
    )
    SECRET_KEY: str = secret("Signs data that the service sends out and reads back.", "always")
    SECRET_KEY_FALLBACKS: tuple[str, ...] = csv_list("Earlier values of SECRET_KEY, still accepted.", secret=True)
    JWT_SECRET_KEY: str | None = secret("Signs access tokens.", "in production")
    JWT_SECRET_KEY_FALLBACKS: tuple[str, ...] = csv_list(
        "Earlier values of JWT_SECRET_KEY, still accepted.", secret=True
    )
    ACCESS_TOKEN_SECONDS: int = integer(900, 60, 86_400, "Lifetime of an access token, in seconds.")
    STEP_UP_SECONDS: int = integer(
        900, 60, 86_400, "Seconds after a proof of the password in which sensitive actions need no further one."
    )
    MASTER_ENCRYPTION_KEY: str | None = secret("Encrypts personal fields in the database.", "in production")
    LEGACY_ENCRYPTION_KEYS: tuple[str, ...] = csv_list(
        "Earlier values of MASTER_ENCRYPTION_KEY, still used to decrypt.", secret=True
    )
    ENCRYPTION_ACCEPT_UNBOUND: bool = boolean(
        False, "Read encrypted columns also without proof that the value belongs to its row; until `flask keys rotate`."
    )
    METRICS_TOKEN: str | None = secret(
        "Bearer token for /metrics and /health/detailed.",
        warning="/health/detailed and /metrics reject every request",
    )

    DATABASE_URL: str | None = url(
        DATABASE_SCHEMES,
        "The database, like postgresql://user:password@host:5432/name; default: a SQLite file.",
        required="in production",
        check=database_url_problem,
        aliases=("SQLALCHEMY_DATABASE_URI",),
        section="Database",
    )
    DB_POOL_SIZE: int = integer(5, 1, 100, "Connections that each process keeps open.")
    DB_MAX_OVERFLOW: int = integer(2, 0, 100, "Connections that each process may open beyond DB_POOL_SIZE.")
    DB_POOL_TIMEOUT: float = number(5, 0.1, 60, "Seconds that a request waits for a connection before it fails (503).")
    DB_POOL_RECYCLE: int = integer(1800, 30, 86_400, "Seconds after which a connection is replaced.")
    DB_STATEMENT_TIMEOUT_MS: int = integer(
        10_000, 100, 600_000, "Milliseconds after which the database cancels a statement."
    )
    DB_READ_TIMEOUT_MS: int = integer(
        1500, 100, 600_000, "Milliseconds that a statement of a GET request may take, unless its route has a budget."
    )
    DB_SSLMODE: str | None = choice(None, SSL_MODES, "PostgreSQL's sslmode; use verify-full across a network.")
    DB_TRANSACTION_POOLING: bool = boolean(
        False, "Whether DATABASE_URL is PgBouncer, or another connection pooler, in transaction mode."
    )
    DB_WAIT_SECONDS: int = integer(60, 1, 600, "Seconds that a starting container waits for the database.")
    MIGRATION_DATABASE_URL: str | None = url(
        DATABASE_SCHEMES,
        "The database for migrations, with the account that owns the tables, not through a connection pooler; "
        "default: DATABASE_URL.",
        check=database_url_problem,
    )
    MIGRATION_LOCK_WAIT_SECONDS: int = integer(120, 1, 3600, "Seconds that a migration waits for another to finish.")
    MIGRATION_LOCK_TIMEOUT_MS: int = integer(
        5000, 100, 60_000, "Milliseconds that a migration waits for a table lock before it fails, to spare the traffic."
    )
    MIGRATION_STATEMENT_TIMEOUT_MS: int = integer(
        900_000, 1000, 86_400_000, "Milliseconds after which the database cancels a statement of a migration."
    )

    REDIS_URL: str | None = redis_url(
        "Redis, like redis://user:password@host:6379/0, rediss:// with TLS, or unix:///run/redis.sock?db=0; if not set,"
        " each process counts its own rate limits and runs tasks immediately.",
        required="in production",
        section="Redis and tasks",
    )
    REDIS_TIMEOUT_SECONDS: float = number(0.25, 0.05, 5, "Seconds to wait for Redis before continuing without it.")
    CACHE_REDIS_URL: str | None = redis_url("Redis for the cache; default: REDIS_URL.")
    CACHE_DEFAULT_TTL: int = integer(60, 1, 86_400, "Default lifetime of a cached value, in seconds.")
    CELERY_BROKER_URL: str | None = redis_url("Redis for the task queue; default: REDIS_URL.")
    CELERY_RESULT_BACKEND: str | None = redis_url("Redis for task results; default: REDIS_URL.")
    CELERY_CONCURRENCY: int = integer(2, 1, 64, "Processes of one worker container.")
    WORKER_METRICS_PORT: int = integer(9100, 0, 65_535, "Port of a worker's /metrics; 0 disables it.")
    TASK_TIME_LIMIT_SECONDS: int = integer(600, 10, 3600, "Seconds after which a task is terminated.")

    FLOWER_PASSWORD: str | None = secret("Password of the user flower in Flower, the web page of tasks and workers.")
    FLOWER_PORT: int = integer(5555, 1, 65_535, "Port of Flower.")

    @property
    def in_production(self) -> bool:
        """Whether the rules of production apply."""
        return self.APP_ENV == "production"

    @property
    def database_url(self) -> str:
        """The URL of the database with the installed driver; default: a SQLite file in `instance/`."""
        return _with_driver(self.DATABASE_URL or "sqlite:///app.db")

    @property
    def migration_database_url(self) -> str | None:
        """`MIGRATION_DATABASE_URL` with the installed driver; None if migrations use `database_url`."""
        return _with_driver(self.MIGRATION_DATABASE_URL) if self.MIGRATION_DATABASE_URL else None

    @property
    def broker_url(self) -> str | None:
        """The URL of the task queue's Redis; None if tasks run in the process that sends them."""
        return self.CELERY_BROKER_URL or self.REDIS_URL

    @property
    def development_substitutes(self) -> tuple[str, ...]:
        """What the process uses in place of servers that are not set; always empty in production."""
        database = () if self.DATABASE_URL else ("a SQLite file as the database",)
        redis = () if self.REDIS_URL else ("rate limits per process", "tasks run in the process that sends them")
        return database + redis

    @property
    def jwt_keys(self) -> tuple[str, ...]:
        """The key that signs tokens, then those that are still accepted."""
        own = (self.JWT_SECRET_KEY,) if self.JWT_SECRET_KEY else self._derived_keys("jwt")
        return (*own, *self.JWT_SECRET_KEY_FALLBACKS)

    @property
    def encryption_keys(self) -> tuple[str, ...]:
        """The key that encrypts, then those that still decrypt."""
        own = (self.MASTER_ENCRYPTION_KEY,) if self.MASTER_ENCRYPTION_KEY else self._derived_keys("encryption")
        return (*own, *self.LEGACY_ENCRYPTION_KEYS)

    def _derived_keys(self, purpose: str) -> tuple[str, ...]:
        """Return the keys of a development machine, where only SECRET_KEY is set."""
        return tuple(f"{purpose}:{key}" for key in (self.SECRET_KEY, *self.SECRET_KEY_FALLBACKS))


def _with_driver(url: str) -> str:
    parts = make_url(url)
    backend = parts.get_backend_name()
    return parts.set(drivername=DRIVERS.get(backend, backend)).render_as_string(hide_password=False)
