"""Functions that declare and read settings; `declarations` lists the platform's settings.

A value comes from Vault (when `VAULT_ADDR` is set), from the variable itself, or from the file that `NAME_FILE` names
(Docker and Kubernetes secrets). An empty value counts as not set, because `${NAME:-}` in a compose file yields one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import unquote

from marshmallow import ValidationError, fields, validate

from app.platform.decimals import DecimalInteger, DecimalNumber
from app.platform.settings.field_types import CsvList, DateTimeValue, IpAddress, Url, url_problem
from app.platform.settings.redis_url import REDIS_SCHEMES, redis_url_problem
from app.platform.settings.secret_strength import HOW_TO_GENERATE, MIN_LENGTH, secret_problem

Required = Literal["always", "in production", ""]

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


def url(schemes: tuple[str, ...], purpose: str, *, check: Callable[[str], str] = url_problem, **options: Any) -> Any:
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
    if not raw.isprintable():
        raise ValueError(f"{name} contains a control character, such as a line break: remove it.")
    if declaration.strong and (problem := secret_problem(raw)):
        raise ValueError(f"{name} {problem}")
    try:
        return declaration.field.deserialize(raw)
    except ValidationError as error:
        # URLs and texts may contain passwords, so the message does not show them.
        hidden = declaration.secret or declaration.accepts in ("URL", "text")
        value = "" if hidden else f" The value is {raw[:60]!r}."
        raise ValueError(f"{name}: {' '.join(map(str, error.messages))}{value}") from None
