"""Functions that declare and read settings; `declarations` lists the platform's settings.

A value comes from Vault (when `VAULT_ADDR` is set), from the variable itself, or from the file that `NAME_FILE` names
(Docker and Kubernetes secrets). An empty value counts as not set, because `${NAME:-}` in a compose file yields one.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from marshmallow import ValidationError, fields, validate

from app.platform.decimals import DecimalInteger, DecimalNumber
from app.platform.settings.redis_url import REDIS_SCHEMES, redis_url_problem
from app.platform.settings.secret_strength import HOW_TO_GENERATE, MIN_LENGTH, secret_problem

Required = Literal["always", "in production", ""]

HTTP_SCHEMES = ("http", "https")
MAX_FILE_CHARACTERS = 65_536  # of a file that contains the value of a setting


class SettingsError(Exception):
    """The settings are invalid; the message lists every problem with its fix."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"The configuration has {count}:", *(f"  - {line}" for line in problems)]))


@dataclasses.dataclass(frozen=True)
class Declaration:
    """One setting: its parser, its default, its documentation and its checks."""

    field: fields.Field[Any]
    default: Any
    purpose: str
    accepts: str  # the accepted values, for the documentation
    required: Required = ""
    warning: str = ""  # shown in production if the setting is not set, which makes it a recommended one
    aliases: tuple[str, ...] = ()
    secret: bool = False  # redacted in logs, traces, error reports and messages; documented as a secret
    public_because: str = ""  # required if the name looks like that of a secret
    strong: bool = False  # rejected if it is short or a placeholder
    section: str = ""  # a heading, at the first setting of a section


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
            return str(ipaddress.ip_address(value))
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


def _url_problem(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.port != 0 and bool(parts.hostname or parts.scheme not in HTTP_SCHEMES)
    except ValueError:
        valid = False
    return "" if valid else "is not valid: it must look like https://host or https://host:8443/path."


def dsn_problem(dsn: str) -> str:
    """Return what is wrong with the URL of a Sentry project, as the predicate of a sentence; empty if it is valid."""
    from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415 - 0.3 s of import time

    try:
        Dsn(dsn)
    except (BadDsn, ValueError):
        return "is no Sentry DSN: it must look like https://key@host/number."
    return ""


def _declare(field: fields.Field[Any], default: Any, purpose: str, accepts: str, options: Mapping[str, Any]) -> Any:
    declaration = Declaration(field, default, purpose, accepts, **options)
    return dataclasses.field(default=default, metadata={"declaration": declaration})


def text(default: str | None, purpose: str, *, pattern: str = ".", error: str = "", **options: Any) -> Any:
    """Declare a text; `error` is the message for a value that does not match the pattern."""
    field = fields.String(validate=validate.Regexp(pattern, error=error or "Must not be empty."))
    return _declare(field, default, purpose, "text", options)


def ip_address(default: str, purpose: str, **options: Any) -> Any:
    """Declare an IP address, of version 4 or 6."""
    return _declare(IpAddress(), default, purpose, "IP address", options)


def choice(default: str | None, choices: tuple[str, ...], purpose: str, **options: Any) -> Any:
    """Declare a choice between a few words."""
    words = ", ".join(choices)
    field = fields.String(validate=validate.OneOf(choices, error=f"Must be one of {words}."))
    return _declare(field, default, purpose, words, options)


def integer(default: int, minimum: int, maximum: int, purpose: str, **options: Any) -> Any:
    """Declare a whole number between two bounds, both included."""
    error = f"Must be a whole number from {minimum} to {maximum}."
    bounds = validate.Range(minimum, maximum, error=error)
    field = DecimalInteger(validate=bounds, error_messages={"invalid": error, "too_large": error})
    return _declare(field, default, purpose, f"{minimum} to {maximum}", options)


def number(default: float, minimum: float, maximum: float, purpose: str, **options: Any) -> Any:
    """Declare a number between two bounds, both included."""
    error = f"Must be a number from {minimum:g} to {maximum:g}."
    bounds = validate.Range(minimum, maximum, error=error)
    field = DecimalNumber(validate=bounds, error_messages={"invalid": error, "special": error, "too_large": error})
    return _declare(field, default, purpose, f"{minimum:g} to {maximum:g}", options)


def boolean(default: bool, purpose: str, **options: Any) -> Any:
    """Declare a boolean; true, 1, yes, on and their opposites are accepted."""
    field = fields.Boolean(error_messages={"invalid": "Must be true or false."})
    return _declare(field, default, purpose, "true or false", options)


def datetime_(default: datetime | None, purpose: str, **options: Any) -> Any:
    """Declare a time, like 2026-07-01 or 2026-07-01T12:00:00Z; UTC if it has no time zone."""
    return _declare(DateTimeValue(), default, purpose, "time", options)


def url(schemes: tuple[str, ...], purpose: str, *, check: Callable[[str], str] = _url_problem, **options: Any) -> Any:
    """Declare a URL with one of the schemes; not set by default. `check` is described at `Url`."""
    return _declare(Url(schemes, check), None, purpose, "URL", options)


def redis_url(purpose: str, **options: Any) -> Any:
    """Declare the URL of a Redis that every consumer can use; not set by default."""
    return url(REDIS_SCHEMES, purpose, check=redis_url_problem, **options)


def csv_list(purpose: str, **options: Any) -> Any:
    """Declare a comma-separated list of texts; empty by default."""
    return _declare(CsvList(fields.String()), (), purpose, "comma-separated list", options)


def rate_limit(default: str, purpose: str, **options: Any) -> Any:
    """Declare a rate limit: requests per period."""
    pattern = r"^[1-9]\d{0,8}/(second|minute|hour|day)$"
    error = "Must be a count and a period, like 5/minute (second, minute, hour or day)."
    field = fields.String(validate=validate.Regexp(pattern, error=error))
    return _declare(field, default, purpose, "like 5/minute", options)


def secret(purpose: str, required: Required = "", *, pattern: str = ".", error: str = "", **options: Any) -> Any:
    """Declare a random secret of at least `MIN_LENGTH` characters; not set by default."""
    options = {"required": required, "secret": True, "strong": True, **options}
    field = fields.String(validate=validate.Regexp(pattern, error=error))
    return _declare(field, None, purpose, f"at least {MIN_LENGTH} characters", options)


def declarations(settings_class: type) -> dict[str, Declaration]:
    """Return every declared setting of a settings class, by name."""
    return {field.name: field.metadata["declaration"] for field in dataclasses.fields(settings_class)}


SettingsClass = TypeVar("SettingsClass")


def read_settings(settings_class: type[SettingsClass], environ: Mapping[str, str]) -> tuple[SettingsClass, list[str]]:
    """Return the settings, with defaults in place of invalid values, and a problem for each invalid value."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, declaration in declarations(settings_class).items():
        try:
            raw = _raw_value(environ, name, declaration)
            if raw:
                values[name] = _parse(name, raw, declaration)
        except ValueError as error:
            problems.append(str(error))
    return settings_class(**values), problems


def missing_settings(settings_class: type, environ: Mapping[str, str], required: set[Required]) -> list[str]:
    """Return a problem for each required setting that is not set, with how to set it."""
    return [
        f"{name} is not set. {declaration.purpose} Set {name}, or {name}_FILE to the path of a file that contains it"
        + (", or store it in Vault." if declaration.secret else ".")
        + (f" {HOW_TO_GENERATE}" if declaration.strong else "")
        for name, declaration in declarations(settings_class).items()
        if declaration.required in required and not is_set(environ, name, declaration)
    ]


def is_set(environ: Mapping[str, str], name: str, declaration: Declaration) -> bool:
    """Whether the environment has a value for the setting under any of its names."""
    keys = (name, *declaration.aliases)
    return any(environ.get(key) or environ.get(f"{key}_FILE") for key in keys)


def secret_values(settings: object) -> Iterator[str]:
    """Yield every value of a settings object that must be redacted: secrets, and the passwords in URLs."""
    for name, declaration in declarations(type(settings)).items():
        value = getattr(settings, name)
        if declaration.secret and value:
            yield from [value] if isinstance(value, str) else value
        elif isinstance(declaration.field, Url) and value:
            yield from _url_passwords(value)


def strong_values(settings: object) -> Iterator[tuple[str, str]]:
    """Yield the name and value of every secret that must be random, also each entry of a list of secrets."""
    for name, declaration in declarations(type(settings)).items():
        value = getattr(settings, name)
        if declaration.strong and value:
            yield name, value
        elif declaration.secret and isinstance(declaration.field, CsvList):
            yield from ((f"{name}: an entry", entry) for entry in value)


def _url_passwords(url: str) -> set[str]:
    """Return the password of a URL as it is written, and as the server gets it."""
    _, separator, rest = url.partition("://")
    account, at, _ = rest.rpartition("@")
    password = account.partition(":")[2] if separator and at else ""
    return {password, unquote(password)} if password else set()


def _raw_value(environ: Mapping[str, str], name: str, declaration: Declaration) -> str | None:
    """Return the value as text; raises `ValueError` if two sources differ or a file cannot be read."""
    values = {}
    for key in (name, *declaration.aliases):
        if environ.get(key):
            values[key] = environ[key].strip()
        if path := environ.get(f"{key}_FILE"):
            values[f"{key}_FILE"] = _read_file(f"{key}_FILE", path)
    if len(set(values.values())) > 1:
        raise ValueError(f"{' and '.join(values)} are set and differ: keep one of them.")
    return next(iter(values.values()), None)


def _read_file(variable: str, path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = file.read(MAX_FILE_CHARACTERS + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ValueError(f"{variable} points to {path}, which cannot be read: {reason}.") from None
    if not content:
        raise ValueError(f"{variable} points to {path}, which is empty: write the value into it.")
    if len(content) > MAX_FILE_CHARACTERS:
        raise ValueError(f"{variable} points to {path}, which has more than {MAX_FILE_CHARACTERS} characters.")
    return content


def _parse(name: str, raw: str, declaration: Declaration) -> Any:
    if declaration.strong and (problem := secret_problem(raw)):
        raise ValueError(f"{name} {problem}")
    try:
        return declaration.field.deserialize(raw)
    except ValidationError as error:
        # URLs and texts may contain passwords, so the message does not show them.
        hidden = declaration.secret or declaration.accepts in ("URL", "text")
        value = "" if hidden else f" The value is {raw[:60]!r}."
        raise ValueError(f"{name}: {' '.join(map(str, error.messages))}{value}") from None
