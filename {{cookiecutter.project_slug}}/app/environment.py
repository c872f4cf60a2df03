"""How settings are declared and read; `app.settings` says which there are.

A value is looked for in Vault (when `VAULT_ADDR` is set), in the variable itself, and in the file that `NAME_FILE`
points to (Docker and Kubernetes secrets). An empty value counts as not set, since that is what `${NAME:-}` in a
compose file leaves behind.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from marshmallow import ValidationError, fields, validate

Required = Literal["always", "in production", ""]

SECRET_LENGTH = 32  # characters; 24 random bytes in base64 make 192 bits
PLACEHOLDER = re.compile(
    r".*(change|replace)[-_ ]?(me|this)|placeholder|example|insecure|your[-_ ]|(my|super)[-_ ]?secret|<.*>$"
    r"|(dev|test|secret|default|password)([-_ ]?(key|secret|password))?$",
    re.IGNORECASE,
)
MAKE_ONE = 'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'


class SettingsError(Exception):
    """The environment cannot run this service; the text lists every problem with its remedy."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"The configuration has {count}:", *(f"  - {line}" for line in problems)]))


@dataclasses.dataclass(frozen=True)
class Declaration:
    """One setting: how it is read, what it is for, and who needs it."""

    field: fields.Field[Any]
    default: Any
    purpose: str
    kind: str  # for the reader of the documentation, bounds included
    required: Required = ""
    recommended: str = ""  # what production lacks without it; empty when it lacks nothing
    aliases: tuple[str, ...] = ()
    secret: bool = False  # never shown; never weak
    section: str = ""  # a heading, at the first setting of a section


class Listed(fields.List[str]):
    """Comma separated text, read as a tuple."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        return tuple(super()._deserialize(parts, attr, data, **kwargs))


class Moment(fields.Field[datetime]):
    """An ISO 8601 time or day, UTC where it names no zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        del attr, data, kwargs
        try:
            time = datetime.fromisoformat(str(value))
        except ValueError:
            raise ValidationError("Must be a time like 2026-07-01 or 2026-07-01T12:00:00Z.") from None
        return time if time.tzinfo else time.replace(tzinfo=UTC)


class Address(fields.String):
    """A URL of one of the given schemes, by what stands before the colon, less any +driver."""

    def __init__(self, schemes: tuple[str, ...]) -> None:
        self.schemes = schemes
        super().__init__(validate=self._has_scheme)

    def _has_scheme(self, value: str) -> None:
        scheme, found, _ = value.partition("://")
        if not found or scheme.partition("+")[0] not in self.schemes:
            wanted = " or ".join(f"{scheme}://" for scheme in self.schemes)
            raise ValidationError(f"Must be an address that starts with {wanted}.")


def _declare(field: fields.Field[Any], default: Any, purpose: str, kind: str, facts: Mapping[str, Any]) -> Any:
    declaration = Declaration(field, default, purpose, kind, **facts)
    return dataclasses.field(default=default, metadata={"declaration": declaration})


def text(default: str | None, purpose: str, *, pattern: str = ".", remedy: str = "", **facts: Any) -> Any:
    """Declare a text; `remedy` tells what the pattern wants."""
    field = fields.String(validate=validate.Regexp(pattern, error=remedy or "Must not be empty."))
    return _declare(field, default, purpose, "text", facts)


def choice(default: str | None, among: tuple[str, ...], purpose: str, **facts: Any) -> Any:
    """Declare one of a few words."""
    words = ", ".join(among)
    field = fields.String(validate=validate.OneOf(among, error=f"Must be one of {words}."))
    return _declare(field, default, purpose, words, facts)


def integer(default: int, low: int, high: int, purpose: str, **facts: Any) -> Any:
    """Declare a whole number within bounds, both included."""
    within = validate.Range(low, high, error=f"Must be a whole number from {low} to {high}.")
    return _declare(fields.Integer(validate=within), default, purpose, f"{low} to {high}", facts)


def number(default: float, low: float, high: float, purpose: str, **facts: Any) -> Any:
    """Declare a number within bounds, both included."""
    within = validate.Range(low, high, error=f"Must be a number from {low:g} to {high:g}.")
    return _declare(fields.Float(validate=within), default, purpose, f"{low:g} to {high:g}", facts)


def boolean(default: bool, purpose: str, **facts: Any) -> Any:
    """Declare a yes or no; true, 1, yes, on and their opposites are read."""
    return _declare(fields.Boolean(), default, purpose, "true or false", facts)


def moment(default: datetime | None, purpose: str, **facts: Any) -> Any:
    """Declare a time, like 2026-07-01 or 2026-07-01T12:00:00Z; UTC where it names no zone."""
    return _declare(Moment(), default, purpose, "time", facts)


def address(schemes: tuple[str, ...], purpose: str, **facts: Any) -> Any:
    """Declare a URL of one of the schemes; not set by default."""
    return _declare(Address(schemes), None, purpose, "address", facts)


def listed(purpose: str, **facts: Any) -> Any:
    """Declare comma separated texts; none by default."""
    return _declare(Listed(fields.String()), (), purpose, "list", facts)


def secret(purpose: str, required: Required = "", **facts: Any) -> Any:
    """Declare a secret of at least `SECRET_LENGTH` characters; not set by default."""
    return _declare(fields.String(), None, purpose, "secret", {"required": required, "secret": True, **facts})


def declarations(kind: type) -> dict[str, Declaration]:
    """Every declared setting of a settings class, by name."""
    return {field.name: field.metadata["declaration"] for field in dataclasses.fields(kind)}


Kind = TypeVar("Kind")


def read(kind: type[Kind], environ: Mapping[str, str]) -> tuple[Kind, list[str]]:
    """Read a settings class, and list every value that is no good; a bad value is replaced by its default."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, declaration in declarations(kind).items():
        try:
            raw = _find(environ, name, declaration)
            if raw:
                values[name] = _parse(name, raw, declaration)
        except ValueError as error:
            problems.append(str(error))
    return kind(**values), problems


def missing(kind: type, environ: Mapping[str, str], required: set[Required]) -> list[str]:
    """The settings that have to be there and are not, each with how to supply it."""
    return [
        f"{name} is not set. {known.purpose} Set {name}, or {name}_FILE to the path of a file that holds it."
        + (f" {MAKE_ONE}" if known.secret else "")
        for name, known in declarations(kind).items()
        if known.required in required and not is_set(environ, name, known)
    ]


def is_set(environ: Mapping[str, str], name: str, declaration: Declaration) -> bool:
    """Whether any source names a value for the setting."""
    keys = (name, *declaration.aliases)
    return any(environ.get(key) or environ.get(f"{key}_FILE") for key in keys)


def _find(environ: Mapping[str, str], name: str, declaration: Declaration) -> str | None:
    """The raw value; raises `ValueError` where two sources contradict each other or a file cannot be read."""
    found = {}
    for key in (name, *declaration.aliases):
        if environ.get(key):
            found[key] = environ[key].strip()
        if path := environ.get(f"{key}_FILE"):
            found[f"{key}_FILE"] = _read_file(f"{key}_FILE", path)
    if len(set(found.values())) > 1:
        raise ValueError(f"{' and '.join(found)} are set and differ: keep one of them.")
    return next(iter(found.values()), None)


def _read_file(variable: str, path: str) -> str:
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ValueError(f"{variable} points to {path}, which cannot be read: {reason}.") from None
    if not content:
        raise ValueError(f"{variable} points to {path}, which is empty: write the value into it.")
    return content


def _parse(name: str, raw: str, declaration: Declaration) -> Any:
    if declaration.secret and (fault := weakness(raw)):
        raise ValueError(f"{name} {fault}")
    try:
        return declaration.field.deserialize(raw)
    except ValidationError as error:
        # An address may carry a password, so what was given is shown for the harmless kinds only.
        shown = "" if declaration.kind in ("secret", "address", "text") else f" It is {raw[:60]!r}."
        raise ValueError(f"{name}: {' '.join(map(str, error.messages))}{shown}") from None


def weakness(value: str) -> str:
    """What is wrong with a secret, as the rest of a sentence; empty when nothing is."""
    if PLACEHOLDER.match(value):
        return f"is a placeholder. {MAKE_ONE}"
    if len(value) < SECRET_LENGTH:
        return f"has {len(value)} characters, and needs at least {SECRET_LENGTH}. {MAKE_ONE}"
    return ""
