"""Boot refuses a bad configuration, and says everything that is wrong with it."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from app.configuration import check, check_compose, load
from app.environment import SettingsError
from app.settings import Settings

KEY = secrets.token_urlsafe(48)
GOOD = {
    "APP_ENV": "production",
    "SECRET_KEY": KEY,
    "JWT_SECRET_KEY": secrets.token_urlsafe(48),
    "MASTER_ENCRYPTION_KEY": secrets.token_urlsafe(48),
    "DATABASE_URL": "postgresql://app:password@db.example.org:5432/app",
    "REDIS_URL": "redis://:password@redis.example.org:6379/0",
}


def problems(**changes: str | None) -> list[str]:
    environ = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return check(environ)[1]


@pytest.mark.req("S3")
def test_a_good_production_environment_has_no_problem() -> None:
    settings, found, _ = check(GOOD)

    assert found == []
    assert settings.database_url == "postgresql+psycopg://app:password@db.example.org:5432/app"


BAD: list[tuple[str, str | None, str]] = [
    ("SECRET_KEY", None, "SECRET_KEY is not set."),
    ("SECRET_KEY", "", "SECRET_KEY is not set."),
    ("SECRET_KEY", "short", "SECRET_KEY has 5 characters, and needs at least 32."),
    ("SECRET_KEY", "change-me-in-production-please-change-me", "SECRET_KEY is a placeholder."),
    ("JWT_SECRET_KEY", None, "JWT_SECRET_KEY is not set."),
    ("JWT_SECRET_KEY", "your-jwt-secret-key-goes-here-1234567890", "JWT_SECRET_KEY is a placeholder."),
    ("MASTER_ENCRYPTION_KEY", None, "MASTER_ENCRYPTION_KEY is not set."),
    ("MASTER_ENCRYPTION_KEY", "abc", "MASTER_ENCRYPTION_KEY has 3 characters"),
    ("SECRET_KEY_FALLBACKS", "short", "SECRET_KEY_FALLBACKS: one has 5 characters"),
    ("DATABASE_URL", None, "DATABASE_URL is not set."),
    ("DATABASE_URL", "sqlite:///app.db", "DATABASE_URL is a SQLite file, which several containers cannot share."),
    ("DATABASE_URL", "oracle://db/app", "DATABASE_URL: Must be an address that starts with postgresql:// or"),
    ("DATABASE_URL", "postgresql://app@db:port/app", "DATABASE_URL cannot be read."),
    ("DATABASE_URL", "db.example.org", "DATABASE_URL: Must be an address"),
    ("REDIS_URL", None, "REDIS_URL is not set."),
    ("REDIS_URL", "http://redis", "REDIS_URL: Must be an address that starts with redis://"),
    ("CORS_ORIGINS", "https://a.example.org,*", "CORS_ORIGINS is *, which lets any page call the API."),
    ("APP_ENV", "prod", "APP_ENV: Must be one of development, testing, production. It is 'prod'."),
    ("DB_POOL_SIZE", "0", "DB_POOL_SIZE: Must be a whole number from 1 to 100. It is '0'."),
    ("DB_POOL_SIZE", "five", "DB_POOL_SIZE: Not a valid integer. It is 'five'."),
    ("DB_POOL_SIZE", "2.5", "DB_POOL_SIZE: Not a valid integer. It is '2.5'."),
    ("DB_POOL_TIMEOUT", "nan", "DB_POOL_TIMEOUT: Special numeric values (nan or infinity) are not permitted."),
    ("DB_SSLMODE", "on", "DB_SSLMODE: Must be one of disable,"),
    ("PORT", "99999", "PORT: Must be a whole number from 1 to 65535."),
    ("RATELIMIT_ENABLED", "perhaps", "RATELIMIT_ENABLED: Not a valid boolean."),
    ("RATELIMIT_LOGIN", "five a minute", "RATELIMIT_LOGIN: Must be a count and a period, like 5/minute"),
    ("API_V1_DEPRECATED_AT", "soon", "API_V1_DEPRECATED_AT: Must be a time like 2026-07-01 or"),
    ("API_V1_SUNSET_AT", "2026-07-01", "API_V1_SUNSET_AT needs a API_V1_DEPRECATED_AT that is not after it"),
    ("API_LEGACY_SUNSET_AT", "2025-07-01", "API_LEGACY_SUNSET_AT needs a API_LEGACY_DEPRECATED_AT that is not after"),
    ("LEGACY_ENCRYPTION_KEYS", "short", "LEGACY_ENCRYPTION_KEYS: one has 5 characters"),
    ("MAIL_USE_SSL", "true", "MAIL_USE_TLS and MAIL_USE_SSL are both on."),
    ("MAIL_USERNAME", "ann", "MAIL_USERNAME is set and MAIL_PASSWORD is not"),
    ("S3_ACCESS_KEY_ID", "ann", "S3_ACCESS_KEY_ID is set and S3_SECRET_ACCESS_KEY is not"),
    ("STORAGE_URL", "/var/lib/uploads", "STORAGE_URL: Must be an address that starts with file:// or s3://."),
    ("STORAGE_URL", "file://uploads/here", "STORAGE_URL names no folder."),
    ("STORAGE_URL", "s3:///prefix", "STORAGE_URL names no bucket."),
    ("LOG_LEVEL", "LOUD", "LOG_LEVEL: Must be one of DEBUG, INFO, WARNING, ERROR."),
    ("SERVICE_NAME", "two words", "SERVICE_NAME: Must be letters, digits, dots and dashes"),
    ("JWT_SECRET_KEY_FILE", "/nowhere", "JWT_SECRET_KEY_FILE points to /nowhere, which cannot be read: No such file"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD)
@pytest.mark.req("S3", "S2", "S4")
def test_a_bad_value_is_named_with_what_to_do(name: str, value: str | None, message: str) -> None:
    found = problems(**{name: value})

    assert len(found) == 1
    assert found[0].startswith(message)


@pytest.mark.req("S3")
def test_every_problem_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        load({"APP_ENV": "production", "PORT": "none"})

    said = str(raised.value)
    assert said.startswith("The configuration has 6 problems:")
    for name in ("SECRET_KEY", "JWT_SECRET_KEY", "MASTER_ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL", "PORT"):
        assert f"\n  - {name}" in said


@pytest.mark.parametrize("environment", ["development", "testing"])
@pytest.mark.req("S3", "S4")
def test_outside_production_a_secret_key_is_enough(environment: str) -> None:
    settings = load({"APP_ENV": environment, "SECRET_KEY": KEY})

    assert settings.database_url == "sqlite:///app.db"
    with pytest.raises(SettingsError, match="SECRET_KEY is not set"):
        load({"APP_ENV": environment})


@pytest.mark.parametrize("name", ["FLASK_ENV", "FLASK_CONFIG", "APP_CONFIG"])
@pytest.mark.req("S3")
def test_older_names_of_the_environment_count(name: str) -> None:
    assert load({**GOOD, "APP_ENV": "", name: "production"}).in_production
    with pytest.raises(SettingsError, match=f"APP_ENV and {name} are set and differ"):
        load({**GOOD, name: "development"})


@pytest.mark.req("S2")
def test_a_value_can_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")

    assert load({"SECRET_KEY_FILE": str(file)}).SECRET_KEY == KEY


@pytest.mark.req("S2")
def test_a_file_that_is_empty_or_says_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("")
    assert problems(SECRET_KEY=None, SECRET_KEY_FILE=str(file)) == [
        f"SECRET_KEY_FILE points to {file}, which is empty: write the value into it."
    ]

    file.write_text(secrets.token_urlsafe(48))
    assert problems(SECRET_KEY_FILE=str(file)) == [
        "SECRET_KEY and SECRET_KEY_FILE are set and differ: keep one of them."
    ]


@pytest.mark.req("S2")
def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\xff\xfe")

    assert problems(SECRET_KEY=None, SECRET_KEY_FILE=str(file)) == [
        f"SECRET_KEY_FILE points to {file}, which cannot be read: it is not UTF-8 text."
    ]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
@pytest.mark.req("S4")
def test_an_address_of_postgresql_uses_psycopg(scheme: str) -> None:
    settings = load({**GOOD, "DATABASE_URL": f"{scheme}://app:p%40ss@db/app"})

    assert settings.database_url == "postgresql+psycopg://app:p%40ss@db/app"


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
@pytest.mark.req("S4")
def test_an_address_of_mysql_uses_pymysql(scheme: str) -> None:
    assert load({**GOOD, "DATABASE_URL": f"{scheme}://app:x@db/app"}).database_url == f"{scheme}+pymysql://app:x@db/app"


@pytest.mark.req("S3")
def test_what_is_recommended_is_warned_about() -> None:
    _, _, warnings = check(GOOD)

    named = {warning.split()[0] for warning in warnings}
    assert {"SENTRY_DSN", "PUBLIC_BASE_URL", "MAIL_SERVER", "METRICS_TOKEN", "TRUSTED_HOSTS", "STORAGE_URL"} == named
    assert check({"SECRET_KEY": KEY})[2] == []


@pytest.mark.req("S3")
def test_compose_needs_its_passwords() -> None:
    found = check_compose({"POSTGRES_PASSWORD": "postgres"})

    assert [line.split()[0] for line in found] == ["REDIS_PASSWORD", "POSTGRES_PASSWORD"]


@pytest.mark.req("S12")
def test_no_message_shows_a_secret(secret: str) -> None:
    said = problems(
        SECRET_KEY="short" + secret[:20],
        DATABASE_URL=f"oracle://app:{secret}@db/app",
        REDIS_URL=f"http://:{secret}@redis",
        JWT_SECRET_KEY_FALLBACKS=secret[:20],
    )

    assert len(said) == 4
    assert secret[:20] not in " ".join(said)


def test_lists_are_split_at_commas() -> None:
    assert load({**GOOD, "CORS_ORIGINS": " https://a.example , ,https://b.example"}).CORS_ORIGINS == (
        "https://a.example",
        "https://b.example",
    )


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().PORT = 1  # type: ignore[misc] # that it is refused is what is shown
