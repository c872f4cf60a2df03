"""Reads the settings, and judges them as a whole: what is missing, does not fit together, or production lacks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.environment import Required, SettingsError, declarations, is_set, missing, read, weakness
from app.security.vault import with_vault
from app.settings import VAULT_PATH, ComposeSettings, Settings

FALLBACKS = ("SECRET_KEY_FALLBACKS", "JWT_SECRET_KEY_FALLBACKS", "LEGACY_ENCRYPTION_KEYS")


def check(environ: Mapping[str, str]) -> tuple[Settings, list[str], list[str]]:
    """Read the settings; beside them every problem, and every warning."""
    settings, problems = read(Settings, environ)
    required: set[Required] = {"always", "in production"} if settings.in_production else {"always"}
    problems = missing(Settings, environ, required) + problems + _unfit(settings)
    return settings, problems, _warnings(settings, environ)


def check_compose(environ: Mapping[str, str]) -> list[str]:
    """Every problem of the variables that compose.yaml puts together itself."""
    _, problems = read(ComposeSettings, environ)
    return missing(ComposeSettings, environ, {"always"}) + problems


def _unfit(settings: Settings) -> list[str]:
    """Problems that more than one value has a part in."""
    problems = []
    fallbacks = {name: getattr(settings, name) for name in FALLBACKS}
    problems += [f"{name}: one {fault}" for name, values in fallbacks.items() for v in values if (fault := weakness(v))]
    try:
        sqlite = make_url(settings.DATABASE_URL or "").drivername.startswith("sqlite")
    except (ArgumentError, ValueError):
        sqlite = False
        if settings.DATABASE_URL:
            problems.append("DATABASE_URL cannot be read. It looks like postgresql://user:password@host:5432/name.")
    if settings.in_production and sqlite:
        problems.append(
            "DATABASE_URL is a SQLite file, which several containers cannot share. Use postgresql://, mysql:// or mariadb://."
        )
    if settings.in_production and "*" in settings.CORS_ORIGINS:
        problems.append(
            "CORS_ORIGINS is *, which lets any page call the API. List the origins: https://app.example.org."
        )
    if settings.MAIL_USE_TLS and settings.MAIL_USE_SSL:
        problems.append("MAIL_USE_TLS and MAIL_USE_SSL are both on. Port 587 wants the one, port 465 the other.")
    if settings.MAIL_USERNAME and not settings.MAIL_PASSWORD:
        problems.append("MAIL_USERNAME is set and MAIL_PASSWORD is not: set both or neither.")
    if settings.S3_ACCESS_KEY_ID and not settings.S3_SECRET_ACCESS_KEY:
        problems.append("S3_ACCESS_KEY_ID is set and S3_SECRET_ACCESS_KEY is not: set both or neither.")
    if fault := _no_place(settings.STORAGE_URL or ""):
        problems.append(f"STORAGE_URL {fault}")
    return problems + list(_ends_before_it_begins(settings))


def _no_place(url: str) -> str:
    """What is wrong with the address of the storage, as the rest of a sentence; empty when nothing is."""
    parts = urlsplit(url)
    if parts.scheme == "file" and (parts.netloc or not parts.path.strip("/")):
        return "names no folder. It looks like file:///var/lib/uploads, with three slashes."
    if parts.scheme == "s3" and not parts.netloc:
        return "names no bucket. It looks like s3://bucket/prefix."
    return ""


def _ends_before_it_begins(settings: Settings) -> Iterator[str]:
    for version in ("V1", "LEGACY"):
        deprecated, sunset = f"API_{version}_DEPRECATED_AT", f"API_{version}_SUNSET_AT"
        begin, end = getattr(settings, deprecated), getattr(settings, sunset)
        if end and (not begin or end < begin):
            yield f"{sunset} needs a {deprecated} that is not after it (RFC 9745, section 4)."


def _warnings(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    if not settings.in_production:
        return []
    return [
        f"{name} is not set: {known.recommended}."
        for name, known in declarations(Settings).items()
        if known.recommended and not is_set(environ, name, known)
    ]


def warnings() -> list[str]:
    """What production lacks with the process's own settings."""
    return check(with_vault(os.environ, VAULT_PATH))[2]


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the environment (and of Vault, if it is set up); raises `SettingsError` with every problem."""
    settings, problems, _ = check(with_vault(os.environ if environ is None else environ, VAULT_PATH))
    if problems:
        raise SettingsError(problems)
    return settings
