"""Read all settings and check them: required ones, combinations, and the rules of production."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.sansio.utils import host_is_trusted

from app.platform.components import platform_of
from app.platform.settings.compose import ComposeSettings
from app.platform.settings.database_url import database_system, parameter_problems
from app.platform.settings.declarations import VAULT_PATH, AllSettings, Secrets, Settings
from app.platform.settings.field_types import log_file_problem
from app.platform.settings.fields import (
    Required,
    SettingsError,
    declarations,
    is_set,
    missing_settings,
    read_settings,
    secret_values,
    strong_values,
)
from app.platform.settings.origins import origin_problem
from app.platform.settings.secret_strength import secret_problem, shared_secret_problems
from app.platform.settings.vault import overlay_vault

HOST_NAME = re.compile(r"\.?(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*|\[[0-9A-Fa-f:.]+\]")
# Of names that nothing but this service reads.
OWN_PREFIXES = ("RATELIMIT_", "CONCURRENCY_", "SIGN_IN_")


@dataclass(frozen=True)
class CheckedSettings:
    """The settings of the platform and of each feature, every problem, and every warning."""

    settings: Settings
    features: tuple[object, ...]
    problems: list[str]
    warnings: list[str]

    @property
    def every(self) -> AllSettings:
        """The settings object of the platform, then those of the features."""
        return AllSettings([self.settings, *self.features])

    @property
    def secrets(self) -> Secrets:
        """Every value that must be redacted."""
        declared = [value for settings in self.every for value in secret_values(settings)]
        return Secrets([*declared, *self.settings.jwt_keys, *self.settings.encryption_keys])


class SettingsWarnings(list[str]):
    """The warnings about the settings of an app."""


def check_settings(environ: Mapping[str, str], feature_classes: Iterable[type]) -> CheckedSettings:
    """Read and check the settings of the platform and those of the features."""
    settings, problems = read_settings(Settings, environ)
    required: set[Required] = {"always", "in production"} if settings.in_production else {"always"}
    feature_classes = tuple(feature_classes)
    features: list[object] = []
    for settings_class in feature_classes:
        read: tuple[object, list[str]] = read_settings(settings_class, environ)
        features.append(read[0])
        problems += read[1]
    classes = (Settings, *feature_classes)
    missing = [problem for each in classes for problem in missing_settings(each, environ, required)]
    warnings = list(_unknown_names(classes, environ))
    if settings.in_production:
        warnings += [warning for each in classes for warning in _warnings(each, environ)]
    problems += _secret_problems([settings, *features], settings.in_production)
    return CheckedSettings(settings, tuple(features), [*missing, *problems, *_cross_field_problems(settings)], warnings)


def check_compose(environ: Mapping[str, str]) -> list[str]:
    """Return every problem of the settings that only compose.yaml reads."""
    settings, problems = read_settings(ComposeSettings, environ)
    problems += shared_secret_problems(list(strong_values(settings)))
    return missing_settings(ComposeSettings, environ, {"always"}) + problems


def _secret_problems(all_settings: Iterable[object], in_production: bool) -> Iterator[str]:
    """Yield the problems of entries in lists of secrets, and in production of secrets that are alike."""
    secrets = [secret for settings in all_settings for secret in strong_values(settings)]
    for name, value in secrets:
        if problem := secret_problem(value):
            yield f"{name} {problem}"
    if in_production:
        yield from shared_secret_problems(secrets)


def _cross_field_problems(settings: Settings) -> Iterator[str]:
    """Yield the problems that depend on more than one setting, and those inside lists and URLs."""
    yield from _database_problems(settings)
    yield from _list_problems(settings)
    if settings.in_production and "*" in settings.CORS_ORIGINS:
        yield "CORS_ORIGINS is *, which allows every page to call the API. List the origins: https://app.example.org."
    if settings.MAIL_USE_TLS and settings.MAIL_USE_SSL:
        yield "MAIL_USE_TLS and MAIL_USE_SSL are both on. Use TLS for port 587, or SSL for port 465."
    if settings.MAIL_USERNAME and not settings.MAIL_PASSWORD:
        yield "MAIL_USERNAME is set and MAIL_PASSWORD is not: set both or neither."
    if settings.S3_ACCESS_KEY_ID and not settings.S3_SECRET_ACCESS_KEY:
        yield "S3_ACCESS_KEY_ID is set and S3_SECRET_ACCESS_KEY is not: set both or neither."
    if settings.LOG_FILE and (problem := log_file_problem(Path(settings.LOG_FILE))):
        yield f"LOG_FILE is {settings.LOG_FILE}, which cannot be written: {problem}."
    if problem := _storage_url_problem(settings.STORAGE_URL or ""):
        yield f"STORAGE_URL {problem}"
    yield from _sunset_problems(settings)
    if problem := _host_problem(settings):
        yield problem


def _list_problems(settings: Settings) -> Iterator[str]:
    for origin in settings.CORS_ORIGINS:
        if problem := origin_problem(origin):
            yield f"CORS_ORIGINS: {origin[:60]!r} {problem}"
    for host in settings.TRUSTED_HOSTS:
        if not HOST_NAME.fullmatch(host):
            yield f"TRUSTED_HOSTS: {host[:60]!r} is no host name. It must look like api.example.org or .example.org."


def _host_problem(settings: Settings) -> str:
    """Return a message if the service would reject the requests that follow its own links."""
    host, trusted = urlsplit(settings.PUBLIC_BASE_URL or "").hostname, settings.TRUSTED_HOSTS
    if not trusted or not host or not all(map(HOST_NAME.fullmatch, trusted)):
        return ""  # `_list_problems` reports invalid names
    if ":" not in host and not HOST_NAME.fullmatch(host):
        return "PUBLIC_BASE_URL has no valid host."
    if host in trusted or host_is_trusted(host, trusted):
        return ""
    return f"PUBLIC_BASE_URL has the host {host}, which TRUSTED_HOSTS does not contain: add it."


def _database_problems(settings: Settings) -> Iterator[str]:
    for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL"):
        if url := getattr(settings, name):
            yield from parameter_problems(name, url, settings.DB_SSLMODE)
    if settings.DATABASE_URL and settings.MIGRATION_DATABASE_URL:
        served, migrated = database_system(settings.DATABASE_URL), database_system(settings.MIGRATION_DATABASE_URL)
        if served != migrated:
            yield f"MIGRATION_DATABASE_URL is {migrated} and DATABASE_URL is {served}: both must name one database."
    if settings.DB_TRANSACTION_POOLING and settings.MIGRATION_DATABASE_URL in (None, settings.DATABASE_URL):
        yield (
            "DB_TRANSACTION_POOLING requires MIGRATION_DATABASE_URL, the URL of the database itself: migrations lock "
            "their session, and a pooler in transaction mode shares sessions."
        )
    if settings.in_production and (settings.DATABASE_URL or "").startswith("sqlite"):
        yield "DATABASE_URL is a SQLite file, which containers cannot share. Use postgresql://, mysql:// or mariadb://."


def _storage_url_problem(url: str) -> str:
    """Return what is wrong with the storage URL, as the predicate of a sentence; empty if it is valid."""
    parts = urlsplit(url)
    if parts.scheme == "file" and (parts.netloc or not parts.path.strip("/")):
        return "names no folder. It must look like file:///var/lib/uploads, with three slashes."
    if parts.scheme == "s3" and not parts.netloc:
        return "names no bucket. It must look like s3://bucket/prefix."
    return ""


def _sunset_problems(settings: Settings) -> Iterator[str]:
    for version in ("V1", "LEGACY"):
        deprecated, sunset = f"API_{version}_DEPRECATED_AT", f"API_{version}_SUNSET_AT"
        start, end = getattr(settings, deprecated), getattr(settings, sunset)
        if end and (not start or end < start):
            yield f"{sunset} requires {deprecated}, at the same time or before (RFC 9745, section 4)."


def _warnings(settings_class: type, environ: Mapping[str, str]) -> list[str]:
    """Return the effect of each recommended setting that is not set."""
    return [
        f"{name} is not set: {declaration.warning}."
        for name, declaration in declarations(settings_class).items()
        if declaration.warning and not is_set(environ, name, declaration)
    ]


def _unknown_names(classes: Iterable[type], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each variable that looks like a setting and is none, such as one with a misspelt name."""
    declared = [item for each in classes for item in declarations(each).items()]
    known = {key for name, declaration in declared for key in (name, *declaration.aliases)}
    for name in sorted(environ):
        if name.startswith(OWN_PREFIXES) and name.removesuffix("_FILE") not in known:
            yield f"{name} is no setting and has no effect: fix the name or remove it."


def load_settings(environ: Mapping[str, str] | None, feature_classes: Iterable[type]) -> CheckedSettings:
    """Read settings from Vault and `environ` (default: that of the process); raises `SettingsError` for problems."""
    checked = check_settings(overlay_vault(os.environ if environ is None else environ, VAULT_PATH), feature_classes)
    if checked.problems:
        raise SettingsError(checked.problems)
    return checked


def init_app(app: Flask, environ: Mapping[str, str] | None, feature_classes: Iterable[type]) -> None:
    """Read and check the settings and add them to the app; raises `SettingsError` with every problem."""
    checked = load_settings(environ, feature_classes)
    platform = platform_of(app)
    for component in (*checked.every, checked.every, checked.secrets, SettingsWarnings(checked.warnings)):
        platform.add(component)
    app.secret_key = checked.settings.SECRET_KEY
    app.config["SECRET_KEY_FALLBACKS"] = list(checked.settings.SECRET_KEY_FALLBACKS)
