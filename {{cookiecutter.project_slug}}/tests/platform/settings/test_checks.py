"""The process rejects invalid settings and reports every problem at once."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from app.features import FEATURE_SETTINGS
from app.platform.settings.checks import check_compose, check_settings, load_settings
from app.platform.settings.declarations import Settings
from app.platform.settings.fields import SettingsError

KEY, METRICS_TOKEN = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
DATABASE = "postgresql://app:password@db.example.org:5432/app"
PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": KEY,
    "JWT_SECRET_KEY": secrets.token_urlsafe(48),
    "MASTER_ENCRYPTION_KEY": secrets.token_urlsafe(48),
    "DATABASE_URL": DATABASE,
    "REDIS_URL": "redis://:password@redis.example.org:6379/0",
}


def problems(**changes: str | None) -> list[str]:
    environ = {name: value for name, value in {**PRODUCTION, **changes}.items() if value is not None}
    return check_settings(environ, FEATURE_SETTINGS).problems


def load(environ: dict[str, str]) -> Settings:
    return load_settings(environ, FEATURE_SETTINGS).settings


@pytest.mark.req("S3")
def test_valid_production_settings_have_no_problems() -> None:
    checked = check_settings(PRODUCTION, FEATURE_SETTINGS)

    assert checked.problems == []
    assert checked.settings.database_url == "postgresql+psycopg://app:password@db.example.org:5432/app"


INVALID: list[tuple[str, str | None, str]] = [
    ("SECRET_KEY", None, "SECRET_KEY is not set."),
    ("SECRET_KEY", "", "SECRET_KEY is not set."),
    ("SECRET_KEY", "short", "SECRET_KEY has 5 characters and needs at least 32."),
    ("SECRET_KEY", "change-me-in-production-please-change-me", "SECRET_KEY is a placeholder."),
    ("JWT_SECRET_KEY", None, "JWT_SECRET_KEY is not set."),
    ("JWT_SECRET_KEY", "your-jwt-secret-key-goes-here-1234567890", "JWT_SECRET_KEY is a placeholder."),
    ("MASTER_ENCRYPTION_KEY", None, "MASTER_ENCRYPTION_KEY is not set."),
    ("MASTER_ENCRYPTION_KEY", "abc", "MASTER_ENCRYPTION_KEY has 3 characters"),
    ("SECRET_KEY_FALLBACKS", "short", "SECRET_KEY_FALLBACKS: an entry has 5 characters"),
    ("METRICS_TOKEN", "short", "METRICS_TOKEN has 5 characters"),
    ("CORS_ORIGINS", "https://a.example.org,*", "CORS_ORIGINS is *, which allows every page to call the API."),
    ("APP_ENV", "prod", "APP_ENV: Must be one of development, testing, production. The value is 'prod'."),
    ("DB_POOL_SIZE", "0", "DB_POOL_SIZE: Must be a whole number from 1 to 100. The value is '0'."),
    ("DB_POOL_SIZE", "five", "DB_POOL_SIZE: Must be a whole number from 1 to 100. The value is 'five'."),
    ("DB_POOL_SIZE", "2.5", "DB_POOL_SIZE: Must be a whole number from 1 to 100. The value is '2.5'."),
    ("DB_POOL_SIZE", "1_0", "DB_POOL_SIZE: Must be a whole number from 1 to 100. The value is '1_0'."),
    ("DB_POOL_SIZE", "\u0665", "DB_POOL_SIZE: Must be a whole number from 1 to 100."),
    ("DB_POOL_TIMEOUT", "1_0", "DB_POOL_TIMEOUT: Must be a number from "),
    ("DB_POOL_TIMEOUT", "nan", "DB_POOL_TIMEOUT: Must be a number from "),
    ("DB_SSLMODE", "on", "DB_SSLMODE: Must be one of disable,"),
    ("BIND_ADDRESS", "fe80::1%eth0", "BIND_ADDRESS: Must be an IP address, like 0.0.0.0 or ::."),
    ("BIND_ADDRESS", "everywhere", "BIND_ADDRESS: Must be an IP address, like 0.0.0.0 or ::."),
    ("PORT", "99999", "PORT: Must be a whole number from 1 to 65535."),
    ("RATELIMIT_ENABLED", "perhaps", "RATELIMIT_ENABLED: Must be true or false. The value is 'perhaps'."),
    ("RATELIMIT_LOGIN", "five a minute", "RATELIMIT_LOGIN: Must be a count and a period, like 5/minute"),
    ("ADMIN_PASSWORD", "short", "ADMIN_PASSWORD: Must have from 10 to 128 characters."),
    ("TRUSTED_HOSTS", "api.example.org,http://x", "TRUSTED_HOSTS: 'http://x' is no host name. It must look like"),
    ("TRUSTED_HOSTS", "a..b", "TRUSTED_HOSTS: 'a..b' is no host name."),
    ("TRUSTED_HOSTS", "*", "TRUSTED_HOSTS: '*' is no host name."),
    ("TRUSTED_HOSTS", f"{'x' * 64}.org", "TRUSTED_HOSTS: 'xxx"),
    ("API_V1_DEPRECATED_AT", "soon", "API_V1_DEPRECATED_AT: Must be a time like 2026-07-01 or"),
    ("API_V1_DEPRECATED_AT", "9999-12-31T23:00:00-14:00", "API_V1_DEPRECATED_AT: Must be a time like 2026-07-01"),
    ("API_V1_SUNSET_AT", "2026-07-01", "API_V1_SUNSET_AT requires API_V1_DEPRECATED_AT, at the same time or before"),
    ("API_LEGACY_SUNSET_AT", "2025-07-01", "API_LEGACY_SUNSET_AT requires API_LEGACY_DEPRECATED_AT, at the same time"),
    ("LEGACY_ENCRYPTION_KEYS", "short", "LEGACY_ENCRYPTION_KEYS: an entry has 5 characters"),
    ("MAIL_DEFAULT_SENDER", "a@b.org\r\nBcc: c@d.org", "MAIL_DEFAULT_SENDER contains a control character"),
    ("LOG_FILE", "/nowhere/app.log", "LOG_FILE is /nowhere/app.log, which cannot be written: this user may create no"),
    ("LOG_FILE", "/dev/null", "LOG_FILE is /dev/null, which cannot be written: it is no file that this user may write"),
    ("MAIL_USE_SSL", "true", "MAIL_USE_TLS and MAIL_USE_SSL are both on."),
    ("MAIL_USERNAME", "ann", "MAIL_USERNAME is set and MAIL_PASSWORD is not"),
    ("S3_ACCESS_KEY_ID", "ann", "S3_ACCESS_KEY_ID is set and S3_SECRET_ACCESS_KEY is not"),
    ("STORAGE_URL", "/var/lib/uploads", "STORAGE_URL: Must be a URL that starts with file:// or s3://."),
    ("STORAGE_URL", "file://uploads/here", "STORAGE_URL names no folder."),
    ("STORAGE_URL", "s3:///prefix", "STORAGE_URL names no bucket."),
    ("LOG_LEVEL", "LOUD", "LOG_LEVEL: Must be one of DEBUG, INFO, WARNING, ERROR."),
    ("SERVICE_NAME", "two words", "SERVICE_NAME: Must be letters, digits, dots, underscores and dashes"),
    ("JWT_SECRET_KEY_FILE", "/dev/zero", "JWT_SECRET_KEY_FILE points to /dev/zero, which has more than 65536"),
    ("JWT_SECRET_KEY_FILE", "/nowhere", "JWT_SECRET_KEY_FILE points to /nowhere, which cannot be read: No such file"),
]


@pytest.mark.parametrize(("name", "value", "message"), INVALID)
@pytest.mark.req("S3", "S2", "S4")
def test_invalid_value_is_reported_with_its_fix(name: str, value: str | None, message: str) -> None:
    [problem] = problems(**{name: value})

    assert problem.startswith(message)


@pytest.mark.req("S3")
def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        load({"APP_ENV": "production", "PORT": "none"})

    message = str(raised.value)
    assert message.startswith("The configuration has 6 problems:")
    for name in ("SECRET_KEY", "JWT_SECRET_KEY", "MASTER_ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL", "PORT"):
        assert f"\n  - {name}" in message


@pytest.mark.parametrize("environment", ["development", "testing"])
@pytest.mark.req("S3", "S4")
def test_outside_production_only_secret_key_is_required(environment: str) -> None:
    settings = load({"APP_ENV": environment, "SECRET_KEY": KEY})

    assert settings.database_url == "sqlite:///app.db"
    with pytest.raises(SettingsError, match="SECRET_KEY is not set"):
        load({"APP_ENV": environment})


@pytest.mark.parametrize("name", ["FLASK_ENV", "FLASK_CONFIG", "APP_CONFIG"])
@pytest.mark.req("S3")
def test_app_env_has_aliases(name: str) -> None:
    assert load({**PRODUCTION, "APP_ENV": "", name: "production"}).in_production
    with pytest.raises(SettingsError, match=f"APP_ENV and {name} are set and differ"):
        load({**PRODUCTION, name: "development"})


@pytest.mark.req("S2")
def test_value_is_read_from_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")

    assert load({"SECRET_KEY_FILE": str(file)}).SECRET_KEY == KEY


@pytest.mark.req("S2")
def test_empty_or_conflicting_file_is_rejected(tmp_path: Path) -> None:
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
def test_binary_file_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\xff\xfe")

    assert problems(SECRET_KEY=None, SECRET_KEY_FILE=str(file)) == [
        f"SECRET_KEY_FILE points to {file}, which cannot be read: it is not UTF-8 text."
    ]


@pytest.mark.req("S3")
def test_missing_recommended_settings_cause_warnings() -> None:
    warnings = check_settings(PRODUCTION, FEATURE_SETTINGS).warnings

    assert {warning.split()[0] for warning in warnings} == {
        *("SENTRY_DSN", "PUBLIC_BASE_URL", "MAIL_SERVER", "METRICS_TOKEN", "TRUSTED_HOSTS", "TRUSTED_PROXIES"),
        "STORAGE_URL",
    }
    assert check_settings({"SECRET_KEY": KEY}, FEATURE_SETTINGS).warnings == []


@pytest.mark.parametrize(
    ("trusted", "accepted"), [("api.example.org", True), (".example.org", True), ("", True), ("example.org", False)]
)
@pytest.mark.fault("F38")
@pytest.mark.req("S3", "S10")
def test_own_host_must_be_trusted(trusted: str, accepted: bool) -> None:
    found = problems(PUBLIC_BASE_URL="https://api.example.org/service", TRUSTED_HOSTS=trusted)

    message = "PUBLIC_BASE_URL has the host api.example.org, which TRUSTED_HOSTS does not contain: add it."
    assert found == ([] if accepted else [message])


@pytest.mark.parametrize("host", ["a..b", "x" * 300 + ".org"])
@pytest.mark.req("S3")
def test_host_that_no_dns_knows_is_reported_once(host: str) -> None:
    (trusted,) = problems(PUBLIC_BASE_URL="https://api.example.org", TRUSTED_HOSTS=host)
    (public,) = problems(PUBLIC_BASE_URL=f"https://{host}", TRUSTED_HOSTS="api.example.org")

    assert trusted.startswith("TRUSTED_HOSTS: ")
    assert public == "PUBLIC_BASE_URL has no valid host."


def compose_passwords() -> dict[str, str]:
    """Return the passwords that compose.yaml needs."""
    names = ("POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD", "REDIS_PASSWORD")
    return {name: secrets.token_urlsafe(48) for name in names}


@pytest.mark.parametrize("value", ["10.0.0.0/8", "10.0.0.0/8, 2001:db8::/32,192.0.2.7", "private", "10.0.0.0/8; x"])
@pytest.mark.fault("F7")
@pytest.mark.req("S3", "S10")
def test_networks_of_a_proxy_are_checked(value: str) -> None:
    found = check_compose({**compose_passwords(), "REAL_IP_FROM": value})

    assert len(found) == (value.startswith("private") or ";" in value)


@pytest.mark.req("S3")
def test_compose_requires_its_passwords() -> None:
    compose_problems = check_compose({"POSTGRES_PASSWORD": "postgres"})

    assert [line.split()[0] for line in compose_problems] == [
        *("POSTGRES_APP_PASSWORD", "REDIS_PASSWORD"),  # missing
        "POSTGRES_PASSWORD",
    ]


@pytest.mark.fault("F20")
@pytest.mark.req("S3")
@pytest.mark.parametrize(
    "name", ["POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD", "REDIS_PASSWORD", "POSTGRES_USER", "POSTGRES_DB"]
)
def test_compose_values_in_urls_need_no_encoding(name: str) -> None:
    (problem,) = check_compose({**compose_passwords(), name: f"{secrets.token_urlsafe(48)}@/"})

    assert problem.startswith(f"{name}: Must contain only letters, digits, - and _")


@pytest.mark.req("S12")
def test_messages_show_no_secrets(secret: str) -> None:
    messages = problems(
        SECRET_KEY="short" + secret[:20],
        DATABASE_URL=f"oracle://app:{secret}@db/app",
        REDIS_URL=f"http://:{secret}@redis",
        JWT_SECRET_KEY_FALLBACKS=secret[:20],
    )

    assert len(messages) == 4
    assert secret[:20] not in " ".join(messages)


@pytest.mark.req("S12")
def test_every_secret_value_is_redacted() -> None:
    environ = {
        "SECRET_KEY": KEY,
        "METRICS_TOKEN": METRICS_TOKEN,
        "MAIL_PASSWORD": "mail-password",
        "ADMIN_PASSWORD": "admin-password",
        "REDIS_URL": "redis://:redis-password@redis",
        "DATABASE_URL": "postgresql://app:database%2Fpassword@db/app",
    }

    secret_values = check_settings(environ, FEATURE_SETTINGS).secrets

    assert {KEY, METRICS_TOKEN, "mail-password", "admin-password", "redis-password"} <= set(secret_values)
    assert {"database/password", "database%2Fpassword"} <= set(secret_values)
    assert f"jwt:{KEY}" in secret_values


def test_misspelt_names_are_reported() -> None:
    misspelt = {"RATELIMIT_LOGINS": "5/minute", "CONCURRENCY_UPLOAD_FILE": "/run/uploads", "SIGN_IN_MAX_WAIT": "5"}

    warnings = check_settings({**PRODUCTION, **misspelt}, FEATURE_SETTINGS).warnings

    assert [warning.partition(" is no setting")[0] for warning in warnings[:3]] == sorted(misspelt)


def test_lists_are_split_at_commas() -> None:
    settings = load({**PRODUCTION, "CORS_ORIGINS": " https://a.example , ,https://b.example"})

    assert settings.CORS_ORIGINS == ("https://a.example", "https://b.example")


def test_settings_are_immutable() -> None:
    with pytest.raises(AttributeError):
        Settings().PORT = 1  # type: ignore[misc] # the test shows that this fails
