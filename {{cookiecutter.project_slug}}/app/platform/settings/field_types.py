"""Schema fields for the values of settings."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields

HTTP_SCHEMES = ("http", "https")


class CsvList(fields.List[str]):
    """Comma-separated text, read as a tuple."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        return tuple(super()._deserialize(parts, attr, data, **kwargs))


class DateTimeValue(fields.Field[datetime]):
    """An ISO 8601 date or time; UTC if it has no time zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        del attr, data, kwargs
        try:
            time = datetime.fromisoformat(str(value))
            return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise ValidationError("Must be a time like 2026-07-01 or 2026-07-01T12:00:00Z.") from None


class IpAddress(fields.String):
    """An IP address, of version 4 or 6."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        del attr, data, kwargs
        try:
            address = value[1:-1] if value.startswith("[") and value.endswith("]") else value
            return str(ipaddress.ip_address("" if "%" in address else address))  # Gunicorn binds no address with a zone
        except ValueError:
            raise ValidationError("Must be an IP address, like 0.0.0.0 or ::.") from None


class Url(fields.String):
    """A URL with one of the schemes; a driver after the scheme (`postgresql+psycopg://`) is ignored.

    `check` returns what is wrong with a URL, as the predicate of a sentence without any part of it.
    """

    def __init__(self, schemes: tuple[str, ...], check: Callable[[str], str]) -> None:
        self.schemes, self._check = schemes, check
        super().__init__(validate=self._validate_url)

    def _validate_url(self, value: str) -> None:
        scheme, separator, _ = value.partition("://")
        if not separator or scheme.partition("+")[0] not in self.schemes:
            expected = " or ".join(f"{scheme}://" for scheme in self.schemes)
            raise ValidationError(f"Must be a URL that starts with {expected}.")
        if problem := self._check(value):
            raise ValidationError(f"The URL {problem}")


def url_problem(url: str) -> str:
    """Return what is wrong with a URL, as the predicate of a sentence; empty if it is valid."""
    try:
        parts = urlsplit(url)
        valid = parts.port != 0 and bool(parts.hostname or parts.scheme not in HTTP_SCHEMES)
    except ValueError:
        valid = False
    return "" if valid else "is not valid: it must look like https://host or https://host:8443/path."


def log_file_problem(path: Path) -> str:
    """Return why a log file cannot be written; empty if it can. Creates nothing: the check may run as another user."""
    if path.exists():
        return "" if path.is_file() and os.access(path, os.W_OK) else "it is no file that this user may write"
    return "" if os.access(path.parent, os.W_OK | os.X_OK) else "this user may create no file in its folder"


def dsn_problem(dsn: str) -> str:
    """Return what is wrong with the URL of a Sentry project, as the predicate of a sentence; empty if it is valid."""
    from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415 - 0.3 s of import time

    try:
        Dsn(dsn)
        valid = bool(re.fullmatch(r"[!-~]+/[0-9]+", dsn))
    except (BadDsn, ValueError):
        valid = False
    if not valid:
        return "is no Sentry DSN: it must look like https://key@host/number."
    return ""
