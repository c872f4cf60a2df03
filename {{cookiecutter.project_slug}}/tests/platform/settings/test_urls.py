"""URLs of databases and of Redis work with every consumer, or the process rejects them."""

from __future__ import annotations

import pytest

from tests.platform.settings.test_checks import DATABASE, PRODUCTION, load, problems

INVALID: list[tuple[str, str | None, str]] = [
    ("DATABASE_URL", None, "DATABASE_URL is not set."),
    ("DATABASE_URL", "sqlite:///app.db", "DATABASE_URL is a SQLite file, which containers cannot share."),
    ("DATABASE_URL", "oracle://db/app", "DATABASE_URL: Must be a URL that starts with postgresql:// or"),
    ("DATABASE_URL", "postgresql://app@db:port/app", "DATABASE_URL: The URL is not valid."),
    ("DATABASE_URL", "postgresql://app:p@ss@db/app", "DATABASE_URL: The URL names no valid host."),
    ("DATABASE_URL", "postgresql:///app", "DATABASE_URL: The URL names no valid host."),
    ("DATABASE_URL", "postgresql://db/app?ssl_mode=on", "DATABASE_URL has the unknown parameter ssl_mode: remove it."),
    ("DATABASE_URL", "postgresql://db/app?sslmode=on", "DATABASE_URL: The URL has an unknown sslmode."),
    ("DATABASE_URL", "db.example.org", "DATABASE_URL: Must be a URL"),
    ("DATABASE_URL", "postgresql://app@db:99999/app", "DATABASE_URL: The URL has an invalid port"),
    ("DATABASE_URL", "postgresql://app@db:0/app", "DATABASE_URL: The URL has an invalid port"),
    ("DATABASE_URL", "postgresql://app@db/app?port=abc", "DATABASE_URL: The URL has an invalid port"),
    ("DATABASE_URL", "mysql://app@db/app?ssl=1", "DATABASE_URL must not have the parameter ssl: use ssl_ca"),
    ("DATABASE_URL", "postgresql://app@db", "DATABASE_URL: The URL names no database."),
    ("DATABASE_URL", "mysql://app@db/", "DATABASE_URL: The URL names no database."),
    ("DATABASE_URL", "postgresql://app:%00@db/app", "DATABASE_URL: The URL contains a control character."),
    ("DATABASE_URL", "postgresql://app@db/a%0Ab", "DATABASE_URL: The URL contains a control character."),
    (
        "MIGRATION_DATABASE_URL",
        "mariadb://app@db/app",
        "MIGRATION_DATABASE_URL is mysql and DATABASE_URL is postgresql",
    ),
    (
        "DATABASE_URL",
        f"{DATABASE}?conect_timeout=3",
        "DATABASE_URL has the unknown parameter conect_timeout: remove it.",
    ),
    ("DATABASE_URL", f"{DATABASE}?autocommit=true", "DATABASE_URL has the unknown parameter autocommit: remove it."),
    ("DATABASE_URL", f"{DATABASE}?connect_timeout=3", "DATABASE_URL must not have the parameter connect_timeout:"),
    (
        "DATABASE_URL",
        f"{DATABASE}?application_name=a",
        "DATABASE_URL must not have the parameter application_name: set SERVICE_NAME.",
    ),
    (
        "DATABASE_URL",
        f"{DATABASE}?options=-cstatement_timeout%3D5",
        "DATABASE_URL must not set statement_timeout in the",
    ),
    (
        "DATABASE_URL",
        f"{DATABASE}?options=-cstatement_timeout%20%3D%200",
        "DATABASE_URL must not set statement_timeout in the",
    ),
    (
        "DATABASE_URL",
        f"{DATABASE}?options=--TimeZone%3DCET",
        "DATABASE_URL must not set timezone in the parameter options:",
    ),
    ("DATABASE_URL", "mysql://app@db/app?charset=latin1", "DATABASE_URL must not have the parameter charset:"),
    ("DATABASE_URL", "mariadb://app@db/app?colour=red", "DATABASE_URL has the unknown parameter colour: remove it."),
    ("MIGRATION_DATABASE_URL", f"{DATABASE}?colour=red", "MIGRATION_DATABASE_URL has the unknown parameter colour:"),
    (
        "DB_TRANSACTION_POOLING",
        "true",
        "DB_TRANSACTION_POOLING requires MIGRATION_DATABASE_URL, the URL of the database",
    ),
    ("REDIS_URL", None, "REDIS_URL is not set."),
    ("REDIS_URL", "http://redis", "REDIS_URL: Must be a URL that starts with redis://"),
    ("REDIS_URL", "redis://:pa/ss@redis:6379/0", "REDIS_URL: The URL is not valid"),
    ("REDIS_URL", "redis://:pa#ss@redis:6379/0", "REDIS_URL: The URL is not valid"),
    ("REDIS_URL", "redis://redis:0/0", "REDIS_URL: The URL has an invalid port"),
    ("REDIS_URL", "redis://:password@/0", "REDIS_URL: The URL names no valid host"),
    ("REDIS_URL", "redis://redis/first", "REDIS_URL: The URL names a database that is no number"),
    ("REDIS_URL", "redis://redis?socket_timeout=5", "REDIS_URL: The URL has unknown options: socket_timeout."),
    ("REDIS_URL", "redis://redis?ssl_ca_certs=/ca.pem", "REDIS_URL: The URL has unknown options: ssl_ca_certs."),
    ("REDIS_URL", "rediss://redis?ssl_cert_reqs=none", "REDIS_URL: The URL has an ssl_cert_reqs other than required"),
    ("REDIS_URL", "rediss://redis?ssl_check_hostname=no", "REDIS_URL: The URL has ssl_check_hostname turned off"),
    ("REDIS_URL", "rediss://redis?ssl_ca_certs=/no.pem", "REDIS_URL: The URL has ssl_ca_certs=/no.pem, which cannot"),
    ("REDIS_URL", "unix://run/redis.sock", "REDIS_URL: The URL names no socket"),
    ("REDIS_URL", "unix:///run/redis.sock?virtual_host=1", "REDIS_URL: The URL has unknown options: virtual_host."),
    ("CACHE_REDIS_URL", "redis+socket:///redis.sock", "CACHE_REDIS_URL: The URL must start with redis://"),
    ("CELERY_BROKER_URL", "amqp://rabbitmq", "CELERY_BROKER_URL: Must be a URL that starts with redis://"),
    ("CELERY_RESULT_BACKEND", "rpc://", "CELERY_RESULT_BACKEND: Must be a URL that starts with redis://"),
    ("SENTRY_DSN", "https://key@sentry:port/1", "SENTRY_DSN: The URL is no Sentry DSN"),
    ("SENTRY_DSN", "https://key@sentry.example.org/1_0", "SENTRY_DSN: The URL is no Sentry DSN"),
    ("SENTRY_DSN", "https://sentry.example.org/1", "SENTRY_DSN: The URL is no Sentry DSN"),
    ("SENTRY_DSN", "https://key@sentry.example.org/project", "SENTRY_DSN: The URL is no Sentry DSN"),
]


@pytest.mark.parametrize(("name", "value", "message"), INVALID)
@pytest.mark.fault("F25")
@pytest.mark.req("S3", "S14")
def test_invalid_url_is_reported_with_its_fix(name: str, value: str | None, message: str) -> None:
    [problem] = problems(**{name: value})

    assert problem.startswith(message)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
@pytest.mark.req("S4")
def test_postgresql_url_uses_psycopg(scheme: str) -> None:
    settings = load({**PRODUCTION, "DATABASE_URL": f"{scheme}://app:p%40ss@db/app"})

    assert settings.database_url == "postgresql+psycopg://app:p%40ss@db/app"


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
@pytest.mark.req("S4")
def test_mysql_url_uses_pymysql(scheme: str) -> None:
    settings = load({**PRODUCTION, "DATABASE_URL": f"{scheme}://app:x@db/app"})

    assert settings.database_url == f"{scheme}+pymysql://app:x@db/app"


def test_sslmode_must_fit_the_database_url() -> None:
    differs = problems(DB_SSLMODE="verify-full", DATABASE_URL="postgresql://db/app?sslmode=require")
    ignored = problems(DB_SSLMODE="verify-full", DATABASE_URL="mysql://app:x@db/app")

    assert differs == ["DB_SSLMODE and the sslmode in DATABASE_URL differ: keep one of them."]
    assert [problem.split(":")[0] for problem in ignored] == ["DB_SSLMODE is for PostgreSQL only"]


MALFORMED = [
    ("DATABASE_URL", "postgresql://app:PASSWORD@PASSWORD@db/app"),
    ("DATABASE_URL", "postgresql://app:pa@ss@db:PASSWORD/app"),
    ("DATABASE_URL", "postgresql:PASSWORD"),
    ("REDIS_URL", "redis://:PASSWORD/x@redis:6379/0"),
    ("REDIS_URL", "redis://:x#PASSWORD@redis:6379/0"),
    ("REDIS_URL", "redis://:x?PASSWORD@redis:6379/0"),
    ("REDIS_URL", "redis://u:1?PASSWORD=x@redis/0"),
    ("REDIS_URL", "rediss://u:1?ssl_ca_certs=PASSWORD@redis/0"),
    ("REDIS_URL", "redis://[PASSWORD"),
    ("REDIS_URL", "unix://:x#PASSWORD@/run/redis.sock"),
    ("STORAGE_URL", "s3://[PASSWORD"),
    ("SENTRY_DSN", "https://PASSWORD@sentry:x/1"),
    ("VAULT_ADDR", "https://[PASSWORD"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:PASSWORD"),
]


@pytest.mark.fault("F20")
@pytest.mark.req("S12")
@pytest.mark.parametrize(("name", "url"), MALFORMED)
def test_malformed_url_is_rejected_without_its_password(name: str, url: str, secret: str) -> None:
    messages = problems(**{name: url.replace("PASSWORD", secret)})

    assert len(messages) == 1
    assert messages[0].startswith(name)
    assert secret not in messages[0]


VALID_DATABASE_URLS = [
    f"{DATABASE}?options=-csearch_path%3Dtenant",
    f"{DATABASE}?sslmode=verify-full&sslrootcert=/ca.pem&target_session_attrs=read-write&keepalives_interval=5",
    "postgresql:///app?host=/run/postgresql",
    "postgresql://app@db?dbname=app",
    "postgresql://app@/app?host=a.example.org:5432&host=b.example.org:5432",
    "mysql://app@db/app?charset=utf8mb4&ssl_ca=/ca.pem",
    "mariadb+pymysql://app@db/app?ssl_verify_cert=true",
]


@pytest.mark.parametrize("url", VALID_DATABASE_URLS)
@pytest.mark.fault("F25")
@pytest.mark.req("S14")
def test_parameters_that_the_driver_knows_are_accepted(url: str) -> None:
    assert problems(DATABASE_URL=url) == []


@pytest.mark.fault("F17")
def test_pooling_requires_another_url_for_migrations() -> None:
    other = "postgresql://app:password@db.example.org:6432/app"

    assert problems(DB_TRANSACTION_POOLING="true", MIGRATION_DATABASE_URL=other) == []
    assert len(problems(DB_TRANSACTION_POOLING="true", MIGRATION_DATABASE_URL=DATABASE)) == 1
