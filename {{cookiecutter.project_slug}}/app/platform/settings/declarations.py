"""The settings of the platform, declared once; features declare their own in `app/*/settings.py`.

`make settings` generates `.env.example` and `docs/settings.md` from these declarations; a test compares them.
`app.platform.settings.checks` reads and checks the values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, overload

from flask import Flask

from app.platform.components import platform_of
from app.platform.settings.core import PROJECT_SLUG, CoreSettings
from app.platform.settings.field_types import HTTP_SCHEMES, dsn_problem
from app.platform.settings.fields import (
    boolean,
    choice,
    csv_list,
    datetime_,
    integer,
    ip_address,
    number,
    rate_limit,
    text,
    url,
)

VAULT_PATH = f"secret/{PROJECT_SLUG}"


@dataclass(frozen=True, kw_only=True)
class Settings(CoreSettings):
    """The platform's settings of one process: `CoreSettings`, then web server, access, API and integrations."""

    BIND_ADDRESS: str = ip_address("0.0.0.0", "IP address to listen on.", section="Web server")  # noqa: S104 - containers are reached from outside
    PORT: int = integer(8000, 1, 65_535, "Port to listen on.")
    WEB_REPLICAS: int = integer(
        3, 1, 1000, "Number of web containers; their connection pools must fit the database's max_connections."
    )
    GUNICORN_WORKERS: int = integer(4, 1, 64, "Processes of one web container.")
    GUNICORN_THREADS: int = integer(4, 1, 64, "Threads of one web process.")
    GUNICORN_TIMEOUT: int = integer(60, 5, 600, "Seconds after which an unresponsive web process is replaced.")
    GUNICORN_GRACEFUL_TIMEOUT: int = integer(
        65, 1, 600, "Seconds that running requests have to finish at shutdown; longer than the longest request."
    )
    GUNICORN_MAX_REQUESTS: int = integer(
        50_000, 1000, 10_000_000, "Requests after which a web process is replaced, plus or minus 10 %."
    )
    GUNICORN_QUEUE_SECONDS: float = number(
        1, 0.1, 60, "Seconds that a request waits for a free thread before it fails (503)."
    )
    REQUEST_RECEIVE_SECONDS: float = number(
        20,
        1,
        600,
        "Seconds in which a request must arrive (408); a body over 1 MB gets 1 more for every 50 kB received.",
    )
    DRAIN_SECONDS: float = number(
        5, 0, 60, "Seconds between SIGTERM and shutdown; /ready returns 503, other requests are served."
    )

    TRUSTED_PROXIES: int = integer(
        0,
        0,
        10,
        "Number of proxies in front, and so of trusted entries in X-Forwarded-For; 0: clients connect directly.",
        warning="without a proxy, slow clients can occupy threads; behind one, all its clients count as one address",
        section="Access",
    )
    TRUSTED_HOSTS: tuple[str, ...] = csv_list(
        "Accepted Host headers; .example.org includes subdomains. Probes and /metrics accept any host.",
        warning="requests with any Host header are accepted",
    )
    CORS_ORIGINS: tuple[str, ...] = csv_list(
        "Origins whose pages may call the API, like https://app.example.org; https://*.example.org adds one label."
    )
    ADMIN_TOTP_REQUIRED: bool = boolean(
        False, "Whether admins need a second factor (TOTP): without one, they can only sign in and set one up."
    )
    MAX_CONTENT_LENGTH: int = integer(1_048_576, 1024, 104_857_600, "Maximum size of a request body, in bytes.")

    CONCURRENCY_HASHING: int = integer(
        2, 1, 64, "Requests of one web process that hash a password at a time; more fail (503).", section="Overload"
    )
    CONCURRENCY_QUERIES: int = integer(
        2, 1, 64, "Expensive queries that one web process runs at a time; requests for more fail (503)."
    )

    RATELIMIT_ENABLED: bool = boolean(
        True, "Whether rate limits, and waits after failed sign-ins, apply.", section="Rate limits"
    )
    RATELIMIT_DEFAULT: str = rate_limit("600/hour", "Routes without a limit of their own.")
    RATELIMIT_CREATE: str = rate_limit("50/hour", "Routes that create an item.")
    RATELIMIT_READ: str = rate_limit("200/hour", "Routes that read one item.")
    RATELIMIT_LIST: str = rate_limit("300/hour", "Routes that read a list.")
    RATELIMIT_UPDATE: str = rate_limit("100/hour", "Routes that update an item.")
    RATELIMIT_DELETE: str = rate_limit("50/hour", "Routes that delete an item.")

    API_V1_DEPRECATED_AT: datetime | None = datetime_(
        None, "When version 1 of the API is deprecated.", section="API versions"
    )
    API_V1_SUNSET_AT: datetime | None = datetime_(None, "When version 1 of the API is removed.")
    API_LEGACY_ENABLED: bool = boolean(False, "Whether version 1 is also served under /api/, without a version.")
    API_LEGACY_DEPRECATED_AT: datetime | None = datetime_(
        datetime(2026, 1, 1, tzinfo=UTC), "When the paths without a version are deprecated."
    )
    API_LEGACY_SUNSET_AT: datetime | None = datetime_(None, "When the paths without a version are removed.")

    STORAGE_URL: str | None = url(
        ("file", "s3"),
        "Storage of uploads: file:///folder or s3://bucket/prefix; default: instance/storage.",
        warning="uploads are stored in one container, where other replicas cannot read them",
        section="Storage",
    )
    S3_ENDPOINT_URL: str | None = url(HTTP_SCHEMES, "An S3-compatible server; default: Amazon S3.")
    S3_REGION: str = text("us-east-1", "Region of the bucket.")
    S3_ACCESS_KEY_ID: str | None = text(
        None,
        "Access key of the S3 server; default: the machine's IAM role.",
        public_because="it identifies the key, like a user name",
    )
    S3_SECRET_ACCESS_KEY: str | None = text(None, "Secret of S3_ACCESS_KEY_ID.", secret=True)

    MAIL_SERVER: str | None = text(
        None,
        "Host of the SMTP server; with one, new accounts must confirm their e-mail address.",
        warning="no e-mail is sent, and every account counts as verified",
        section="E-mail",
    )
    MAIL_PORT: int = integer(587, 1, 65_535, "Port of the SMTP server.")
    MAIL_USE_TLS: bool = boolean(True, "Whether to encrypt with STARTTLS, usual on port 587.")
    MAIL_USE_SSL: bool = boolean(False, "Whether to use implicit TLS, usual on port 465.")
    MAIL_USERNAME: str | None = text(None, "User name for the SMTP server; if not set, no login.")
    MAIL_PASSWORD: str | None = text(None, "Password of MAIL_USERNAME.", secret=True)
    MAIL_DEFAULT_SENDER: str = text("no-reply@{{ cookiecutter.domain }}", "Sender of e-mails.")
    MAIL_SMTPUTF8: bool = boolean(
        False, "Whether the SMTP server supports SMTPUTF8: addresses with non-ASCII characters before the @."
    )
    MAIL_TIMEOUT_SECONDS: float = number(10, 1, 60, "Seconds to wait for the SMTP server.")

    LOG_LEVEL: str = choice(
        "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"), "Minimum level that is logged.", section="Observability"
    )
    LOG_FILE: str | None = text(None, "File that also receives the log, with rotation; processes may share it.")
    LOG_MAX_BYTES: int = integer(10_000_000, 10_000, 1_000_000_000, "Size at which the log file is rotated, in bytes.")
    LOG_BACKUPS: int = integer(5, 1, 100, "Number of rotated log files to keep.")
    OTEL_EXPORTER_OTLP_ENDPOINT: str | None = url(
        HTTP_SCHEMES, "OTLP receiver of traces, like http://collector:4318; if not set, no tracing."
    )
    OTEL_SERVICE_NAME: str | None = text(None, "Name of the service in traces; default: SERVICE_NAME.")
    OTEL_SERVICE_VERSION: str = text("0.1.0", "Version of the service in traces and /health/detailed.")
    OTEL_TRACES_SAMPLER_ARG: float = number(0.01, 0, 1, "Share of requests that are traced.")
    OTEL_TRUST_CALLERS: bool = boolean(
        False,
        "Whether to accept the trace context of every caller; default: only of private addresses without a proxy.",
    )
    ENABLE_DB_PROFILING: bool = boolean(False, "Whether to count queries and log slow and repeated ones.")
    DB_PROFILING_HEADERS: bool = boolean(
        False, "Whether to send X-DB-Query-Count and X-DB-Total-Time-Ms with profiling."
    )
    DB_SLOW_QUERY_SECONDS: float = number(1, 0.001, 60, "Seconds from which a profiled query is logged as slow.")
    PROFILING_DURATION_SECONDS: int = integer(
        30, 1, 600, "Duration of a CPU profile and of a memory profile, in seconds."
    )
    SENTRY_DSN: str | None = url(
        HTTP_SCHEMES,
        "Sentry project that receives errors.",
        check=dsn_problem,
        warning="errors appear only in the log",
        secret=True,
    )
    SENTRY_SAMPLE_RATE: float = number(1, 0, 1, "Share of errors that are reported.")

    VAULT_ADDR: str | None = url(
        HTTP_SCHEMES, "HashiCorp Vault; its values at VAULT_PATH override the environment.", section="Vault"
    )
    VAULT_PATH: str = text(VAULT_PATH, "KV version 2 secret to read: mount/path.")
    VAULT_TOKEN: str | None = text(None, "Token for Vault; alternative: AppRole, the next two settings.", secret=True)
    VAULT_ROLE_ID: str | None = text(None, "AppRole: role id.")
    VAULT_SECRET_ID: str | None = text(None, "AppRole: secret id.", secret=True)


class Secrets(list[str]):
    """Every value of an app that must be redacted."""


class AllSettings(list[object]):
    """The settings object of the platform, then those of the features."""


SettingsClass = TypeVar("SettingsClass")


@overload
def settings_of(app: Flask) -> Settings: ...
@overload
def settings_of(app: Flask, kind: type[SettingsClass]) -> SettingsClass: ...
def settings_of(app: Flask, kind: type[Any] = Settings) -> Any:
    """Return the settings of an app: the platform's, or those of a feature by their class."""
    return platform_of(app).get(kind)


def secrets_of(app: Flask) -> Secrets:
    """Return every value that must be redacted in what leaves the service."""
    return platform_of(app).get(Secrets)


def rate_limit_settings(app: Flask) -> dict[str, str]:
    """Return the value of every RATELIMIT_ setting of the platform and the features, by name."""
    limits = dict(_settings_with_prefix(app, "RATELIMIT_"))
    del limits["RATELIMIT_ENABLED"]
    return limits


def concurrency_settings(app: Flask) -> dict[str, int]:
    """Return the value of every CONCURRENCY_ setting of the platform and the features, by name."""
    return dict(_settings_with_prefix(app, "CONCURRENCY_"))


def _settings_with_prefix(app: Flask, prefix: str) -> Iterator[tuple[str, Any]]:
    for settings in platform_of(app).get(AllSettings):
        yield from ((name, value) for name, value in vars(settings).items() if name.startswith(prefix))
