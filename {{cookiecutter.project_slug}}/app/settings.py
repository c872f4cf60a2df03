"""Every setting of the service, declared once.

`.env.example` and `docs/settings.md` are written from these declarations (`make settings`), `app.configuration` reads
and checks them, and a test keeps the three equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from flask import Flask
from sqlalchemy.engine import make_url

from app.environment import address, boolean, choice, declarations, integer, listed, moment, number, secret, text

# One driver each, whichever an address names: it is the one that is installed.
DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
PROJECT = "{{ cookiecutter.project_slug }}"
HOST_NAME = "{{ cookiecutter.domain }}"
VAULT_PATH = f"secret/{PROJECT}"
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
WEB = ("http", "https")


def rate(default: str, purpose: str, **facts: str) -> str:
    """Declare a rate limit."""
    pattern = r"^[1-9]\d{0,8}/(second|minute|hour|day)$"
    remedy = "Must be a count and a period, like 5/minute (second, minute, hour or day)."
    return cast(str, text(default, purpose, pattern=pattern, remedy=remedy, **facts))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the process was told by its environment; `load` makes one."""

    APP_ENV: str = choice(
        "development",
        ("development", "testing", "production"),
        "Which rules hold: production refuses SQLite, missing secrets and open CORS.",
        aliases=("FLASK_ENV", "FLASK_CONFIG", "APP_CONFIG"),
        section="The service",
    )
    SERVICE_NAME: str = text(
        PROJECT,
        "Names the service in logs, traces, tokens and database connections.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        remedy="Must be letters, digits, dots and dashes, at most 63.",
    )
    PUBLIC_BASE_URL: str | None = address(
        WEB, "Where users reach the service.", recommended="links in mails have no address to point to"
    )
    SECRET_KEY: str = secret("Signs what the service hands out and takes back.", "always")
    SECRET_KEY_FALLBACKS: tuple[str, ...] = listed("Earlier values of SECRET_KEY, still accepted.")
    JWT_SECRET_KEY: str | None = secret("Signs access tokens.", "in production")
    JWT_SECRET_KEY_FALLBACKS: tuple[str, ...] = listed("Earlier values of JWT_SECRET_KEY, still accepted.")
    ACCESS_TOKEN_SECONDS: int = integer(900, 60, 86_400, "How long an access token is good for, in seconds.")
    REFRESH_TOKEN_SECONDS: int = integer(
        2_592_000, 3600, 31_536_000, "How long somebody stays signed in without using the service, in seconds."
    )
    PASSWORD_RESET_URL: str | None = address(
        WEB, "The page that takes a new password, for links in mails; PUBLIC_BASE_URL/reset-password where not set."
    )
    MASTER_ENCRYPTION_KEY: str | None = secret("Encrypts personal fields in the database.", "in production")
    LEGACY_ENCRYPTION_KEYS: tuple[str, ...] = listed("Earlier values of MASTER_ENCRYPTION_KEY, still read.")
    ENCRYPTION_KEY_DAYS: int = integer(90, 1, 3650, "Days after which a new MASTER_ENCRYPTION_KEY is due.")
    METRICS_TOKEN: str | None = text(
        None,
        "Bearer token for /metrics and /health/detailed.",
        recommended="/health/detailed answers nobody, and /metrics only private addresses",
    )
    ADMIN_EMAIL: str | None = text(None, "The first admin, made by `flask init-db`.")
    ADMIN_PASSWORD: str | None = text(None, "The first admin's password, read once, when the account is made.")

    DATABASE_URL: str | None = address(
        ("postgresql", "postgres", "mysql", "mariadb", "sqlite"),
        "The database, like postgresql://user:password@host:5432/name; a SQLite file where not set.",
        required="in production",
        aliases=("SQLALCHEMY_DATABASE_URI",),
        section="Database",
    )
    DB_POOL_SIZE: int = integer(5, 1, 100, "Connections that each process keeps open.")
    DB_MAX_OVERFLOW: int = integer(2, 0, 100, "Connections that each process may open beyond DB_POOL_SIZE.")
    DB_POOL_TIMEOUT: float = number(5, 0.1, 60, "Seconds a request waits for a connection before it is answered 503.")
    DB_POOL_RECYCLE: int = integer(1800, 30, 86_400, "Seconds after which a connection is replaced.")
    DB_STATEMENT_TIMEOUT_MS: int = integer(
        10_000, 100, 600_000, "Milliseconds after which the database gives up a statement."
    )
    DB_SSLMODE: str | None = choice(None, SSL_MODES, "PostgreSQL's sslmode; verify-full across a network.")
    DB_WAIT_SECONDS: int = integer(60, 1, 600, "Seconds a starting container waits for the database.")
    MIGRATION_LOCK_WAIT_SECONDS: int = integer(120, 1, 3600, "Seconds a migration waits for another one to end.")
    MIGRATION_LOCK_TIMEOUT_MS: int = integer(
        5000, 100, 60_000, "Milliseconds a migration waits for a table before it gives way to the traffic and fails."
    )
    MIGRATION_STATEMENT_TIMEOUT_MS: int = integer(
        900_000, 1000, 86_400_000, "Milliseconds that one statement of a migration may take."
    )

    REDIS_URL: str | None = address(
        ("redis", "rediss", "unix"),
        "Redis; where not set, rate limits live in the process and tasks run at once.",
        required="in production",
        section="Redis and tasks",
    )
    REDIS_TIMEOUT_SECONDS: float = number(0.25, 0.05, 5, "Seconds to wait for Redis before going on without it.")
    CACHE_REDIS_URL: str | None = address(("redis", "rediss", "unix"), "Redis for the cache; REDIS_URL where not set.")
    CACHE_DEFAULT_TTL: int = integer(
        60, 1, 86_400, "Seconds that a cache keeps a value, unless it has a time of its own."
    )
    CELERY_BROKER_URL: str | None = address(
        ("redis", "rediss", "amqp", "amqps"), "The task queue; REDIS_URL where not set."
    )
    CELERY_RESULT_BACKEND: str | None = address(
        ("redis", "rediss", "rpc"), "Where results of tasks are kept; REDIS_URL where not set."
    )
    CELERY_CONCURRENCY: int = integer(2, 1, 64, "Task processes of one worker container.")
    WORKER_METRICS_PORT: int = integer(9100, 0, 65_535, "The port of a worker's /metrics; 0 for none.")
    TASK_TIME_LIMIT_SECONDS: int = integer(600, 10, 3600, "Seconds after which a task is ended.")

    FLOWER_PASSWORD: str | None = secret("Opens Flower, the page about tasks and workers, to the user flower.")
    FLOWER_PORT: int = integer(5555, 1, 65_535, "The port that Flower listens on.")

    BIND_ADDRESS: str = text("0.0.0.0", "The address to listen on.", section="Serving")  # noqa: S104 - containers are reached from outside
    PORT: int = integer(8000, 1, 65_535, "The port to listen on.")
    WEB_REPLICAS: int = integer(
        3, 1, 1000, "How many web containers run; with the pools, checked against the database's max_connections."
    )
    GUNICORN_WORKERS: int = integer(4, 1, 64, "Web processes of one container.")
    GUNICORN_THREADS: int = integer(4, 1, 64, "Threads of one web process.")
    GUNICORN_TIMEOUT: int = integer(60, 5, 600, "Seconds after which a web process that gives no sign is replaced.")
    GUNICORN_GRACEFUL_TIMEOUT: int = integer(
        65, 1, 600, "Seconds that requests in flight have to finish at a stop; longer than the longest request."
    )
    GUNICORN_MAX_REQUESTS: int = integer(
        50_000, 1000, 10_000_000, "Requests after which a web process is replaced, give or take a tenth."
    )
    DRAIN_SECONDS: float = number(
        5, 0, 60, "Seconds between SIGTERM and the stop, in which /ready says 503 and requests are served."
    )

    TRUSTED_PROXIES: int = integer(
        0, 0, 10, "How many proxies stand in front; so many entries of X-Forwarded-For count.", section="Who may call"
    )
    TRUSTED_HOSTS: tuple[str, ...] = listed(
        "Host names to answer to; .example.org takes in the names below it. Probes and /metrics go by any name.",
        recommended="a request with any Host header is answered",
    )
    CORS_ORIGINS: tuple[str, ...] = listed("Origins whose pages may call the API, like https://app.example.org.")
    MAX_CONTENT_LENGTH: int = integer(1_048_576, 1024, 104_857_600, "Largest body of a request, in bytes.")

    RATELIMIT_ENABLED: bool = boolean(True, "Whether rate limits hold.", section="Rate limits")
    RATELIMIT_DEFAULT: str = rate("600/hour", "Routes that name no other limit.")
    RATELIMIT_REGISTER: str = rate("10/hour", "Making an account.")
    RATELIMIT_LOGIN: str = rate("5/minute", "Signing in.")
    RATELIMIT_FORGOT_PASSWORD: str = rate("5/minute", "Asking for a mail that resets a password.")
    RATELIMIT_CREATE: str = rate("50/hour", "Making a thing: a data file, a test run, an API key.")
    RATELIMIT_READ: str = rate("200/hour", "Reading one thing.")
    RATELIMIT_LIST: str = rate("300/hour", "Reading a list.")
    RATELIMIT_UPDATE: str = rate("100/hour", "Changing a thing.")
    RATELIMIT_DELETE: str = rate("50/hour", "Deleting a thing.")
    RATELIMIT_LOCATIONS: str = rate("120/minute", "Saving a location.")
    RATELIMIT_LOCATIONS_BATCH: str = rate("20/minute", "Saving a batch of locations.")
    RATELIMIT_ADMIN_STATS: str = rate("100/hour", "Admins: reading the statistics.")
    RATELIMIT_ADMIN_USERS: str = rate("200/hour", "Admins: listing users.")
    RATELIMIT_ADMIN_ROLE: str = rate("50/hour", "Admins: changing a role.")
    RATELIMIT_ADMIN_RESET_PASSWORD: str = rate("10/hour", "Admins: resetting a user's password.")

    API_V1_DEPRECATED_AT: datetime | None = moment(
        None, "When version 1 of the API became, or becomes, deprecated.", section="The API"
    )
    API_V1_SUNSET_AT: datetime | None = moment(None, "When version 1 of the API goes away.")
    API_LEGACY_ENABLED: bool = boolean(False, "Whether version 1 answers under /api/ without a version too.")
    API_LEGACY_DEPRECATED_AT: datetime | None = moment(
        datetime(2026, 1, 1, tzinfo=UTC), "When the addresses without a version became deprecated."
    )
    API_LEGACY_SUNSET_AT: datetime | None = moment(None, "When the addresses without a version go away.")

    STORAGE_URL: str | None = address(
        ("file", "s3"),
        "Where uploads are kept: file:///folder or s3://bucket/prefix; instance/storage where not set.",
        recommended="uploads lie in a folder of one container, where no other replica finds them",
        section="Files",
    )
    S3_ENDPOINT_URL: str | None = address(WEB, "An S3-compatible server; Amazon's own where not set.")
    S3_REGION: str = text("us-east-1", "The bucket's region.")
    S3_ACCESS_KEY_ID: str | None = text(None, "Signs in to the S3 server; the machine's role where not set.")
    S3_SECRET_ACCESS_KEY: str | None = text(None, "The secret of S3_ACCESS_KEY_ID.")
    UPLOAD_MAX_BYTES: int = integer(52_428_800, 1024, 1_073_741_824, "Largest file that is taken in, in bytes.")
    TEST_RUN_STALE_SECONDS: int = integer(
        60, 2, 3600, "Seconds without a sign after which a test run is given to another worker."
    )

    MAIL_SERVER: str | None = text(None, "The SMTP server.", recommended="no mail reaches a user", section="Mail")
    MAIL_PORT: int = integer(587, 1, 65_535, "The SMTP server's port.")
    MAIL_USE_TLS: bool = boolean(True, "Whether to encrypt with STARTTLS, as on port 587.")
    MAIL_USE_SSL: bool = boolean(False, "Whether to encrypt from the start, as on port 465.")
    MAIL_USERNAME: str | None = text(None, "Signs in to the SMTP server; nobody does where not set.")
    MAIL_PASSWORD: str | None = text(None, "The password of MAIL_USERNAME.")
    MAIL_DEFAULT_SENDER: str = text(f"no-reply@{HOST_NAME}", "Whom mails come from.")
    MAIL_TIMEOUT_SECONDS: float = number(10, 1, 60, "Seconds to wait for the SMTP server.")

    LOG_LEVEL: str = choice(
        "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"), "The least level that is logged.", section="Seeing it run"
    )
    LOG_FILE: str | None = text(None, "A file that gets the log too, rotated.")
    LOG_MAX_BYTES: int = integer(10_000_000, 10_000, 1_000_000_000, "Size at which the log file is rotated, in bytes.")
    LOG_BACKUPS: int = integer(5, 1, 100, "Rotated log files that are kept.")
    OTEL_EXPORTER_OTLP_ENDPOINT: str | None = address(
        WEB, "An OTLP receiver, like http://collector:4318; nothing is traced where not set."
    )
    OTEL_SERVICE_NAME: str | None = text(None, "The service's name in traces; SERVICE_NAME where not set.")
    OTEL_SERVICE_VERSION: str = text("0.1.0", "The service's version in traces and /health/detailed.")
    OTEL_TRACES_SAMPLER_ARG: float = number(0.01, 0, 1, "The share of requests that is traced.")
    OTEL_TRUST_CALLERS: bool = boolean(
        False, "Whether all callers may say which trace they are in; else only private addresses without a proxy."
    )
    ENABLE_DB_PROFILING: bool = boolean(False, "Whether to count queries, and to find slow and repeated ones.")
    DB_PROFILING_HEADERS: bool = boolean(False, "Whether profiled answers carry X-DB-Query-Count, X-DB-Total-Time-Ms.")
    DB_SLOW_QUERY_SECONDS: float = number(1, 0.001, 60, "Seconds from which a profiled query is logged as slow.")
    PROFILING_DURATION_SECONDS: int = integer(30, 1, 600, "Seconds that a profile takes for CPU, and again for memory.")
    SENTRY_DSN: str | None = address(
        WEB, "Where errors are reported to.", recommended="errors reach nobody but the log"
    )
    SENTRY_SAMPLE_RATE: float = number(1, 0, 1, "The share of errors that is reported.")

    VAULT_ADDR: str | None = address(
        WEB, "A HashiCorp Vault; what it holds under VAULT_PATH wins over the environment.", section="Vault"
    )
    VAULT_PATH: str = text(VAULT_PATH, "The KV version 2 secret to read: mount/path.")
    VAULT_TOKEN: str | None = text(None, "Signs in to Vault; or else the two below.")
    VAULT_ROLE_ID: str | None = text(None, "AppRole: who the service is.")
    VAULT_SECRET_ID: str | None = text(None, "AppRole: its secret.")

    @property
    def in_production(self) -> bool:
        """Whether the strict rules hold."""
        return self.APP_ENV == "production"

    @property
    def database_url(self) -> str:
        """The database's address with the driver to use; a SQLite file in `instance/` where none is set."""
        url = make_url(self.DATABASE_URL or "sqlite:///app.db")
        backend = url.get_backend_name()
        return url.set(drivername=DRIVERS.get(backend, backend)).render_as_string(hide_password=False)

    @property
    def embedded(self) -> tuple[str, ...]:
        """What stands in for servers that are not set; never in production."""
        database = () if self.DATABASE_URL else ("a SQLite file as the database",)
        redis = () if self.REDIS_URL else ("limits per process", "tasks run where they are sent")
        return database + redis

    @property
    def jwt_keys(self) -> tuple[str, ...]:
        """The key that signs tokens, then those that are still accepted."""
        return (self.JWT_SECRET_KEY or f"jwt:{self.SECRET_KEY}", *self.JWT_SECRET_KEY_FALLBACKS)

    @property
    def encryption_keys(self) -> tuple[str, ...]:
        """The key that encrypts, then those that are still read."""
        return (self.MASTER_ENCRYPTION_KEY or f"encryption:{self.SECRET_KEY}", *self.LEGACY_ENCRYPTION_KEYS)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that must never be shown."""
        named = [getattr(self, name) for name, known in declarations(Settings).items() if known.secret]
        others = [self.METRICS_TOKEN, self.ADMIN_PASSWORD, self.VAULT_TOKEN, self.VAULT_SECRET_ID]
        others += [self.S3_SECRET_ACCESS_KEY, self.MAIL_PASSWORD, *self.encryption_keys]
        urls = [self.DATABASE_URL, self.REDIS_URL, self.CACHE_REDIS_URL]
        urls += [self.CELERY_BROKER_URL, self.CELERY_RESULT_BACKEND]
        passwords = [str(make_url(url).password or "") for url in urls if url]
        return tuple(filter(None, [*named, *others, *passwords, *self.SECRET_KEY_FALLBACKS, *self.jwt_keys]))


@dataclass(frozen=True, kw_only=True)
class ComposeSettings:
    """What compose.yaml needs beside the service's own settings."""

    POSTGRES_DB: str = text("app", "The database's name.", section="Compose only")
    POSTGRES_USER: str = text("app", "The database's owner.")
    POSTGRES_PASSWORD: str | None = secret("The database's password.", "always")
    REDIS_PASSWORD: str | None = secret("Redis's password.", "always")
    DOMAIN: str = text(HOST_NAME, "The host name of the service; PUBLIC_BASE_URL is made of it.")
    GRAFANA_PASSWORD: str | None = secret("Opens Grafana, the dashboards, to the user admin.")
    PAGERDUTY_ROUTING_KEY: str | None = text(None, "The key of PagerDuty's Events API v2; critical alerts go there.")
    SLACK_WEBHOOK_URL: str | None = address(WEB, "Slack's incoming webhook; warnings go there.")


def settings_of(app: Flask) -> Settings:
    """The settings that an app was made with."""
    return cast(Settings, app.extensions["settings"])
