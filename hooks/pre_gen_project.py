"""Validate all answers before cookiecutter writes a file, and report every invalid one.

cookiecutter renders this file with Jinja and runs it in the new, still empty folder; exit status 1 makes cookiecutter
remove that folder. The slug is read from `__typed_slug`: cookiecutter.json replaces a slug that is not a folder name
before it reaches the disk (CONTRIBUTING.md, "Invalid slugs").
"""

from __future__ import annotations

import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

# JSON never contains three double quotes in a row and escapes control characters, so no answer can end this string.
RENDERED_ANSWERS = r"""{{ cookiecutter | jsonify }}"""

# Concatenated, not an f-string: in one, a quantifier needs double braces, and Jinja reads those as an expression.
HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(r"(?:" + HOST_LABEL + r"\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,58}[a-z0-9])")
LOCAL_PART = re.compile(r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*")
MAX_LOCAL_PART_LENGTH = 64
SLUG = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")

# Special inside double quotes in Python, TOML, YAML or a shell, or special in HTML.
UNSAFE_CHARACTERS = '"\\$`{}<>'

# Names of the service's own folders, packages, containers and hosts, and Windows device names.
RESERVED_SLUGS = frozenset(
    {"app", "build", "celery", "cookiecutter", "deploy", "docs", "flask", "localhost", "migrations", "postgres"}
    | {"python", "redis", "scripts", "test", "tests", "wsgi", "aux", "con", "nul", "prn"}
    | {port + str(number) for port in ("com", "lpt") for number in range(1, 10)},
)


class Rule(NamedTuple):
    """The validation of one answer: maximum length, checks (each true if invalid, with its message), valid values."""

    max_length: int
    checks: tuple[tuple[Callable[[str], object], str], ...]
    valid_values: str


def unsafe_characters(text: str) -> str:
    """Return the characters of `text` that would break a quoted string."""
    return " ".join(sorted(set(text) & set(UNSAFE_CHARACTERS)))


def has_unprintable(text: str) -> bool:
    """Return whether `text` has a line break, control or invisible character (Unicode categories C, Zl and Zp)."""
    return any(unicodedata.category(character)[0] == "C" or character in "\u2028\u2029" for character in text)


def is_invalid_domain(text: str) -> bool:
    """Return whether `text` is not a host name of two labels or more (RFC 1035, lower case, no trailing dot)."""
    return not DOMAIN.fullmatch(text)


def is_invalid_email(text: str) -> bool:
    """Return whether `text` is not local-part@domain in ASCII (RFC 5321: dot-string, no quoted string)."""
    local_part, at, domain = text.rpartition("@")
    return not (
        at
        and len(local_part) <= MAX_LOCAL_PART_LENGTH
        and LOCAL_PART.fullmatch(local_part)
        and DOMAIN.fullmatch(domain.lower())
    )


def free_text(max_length: int, example: str) -> Rule:
    """Return the rule of an answer in prose, which files contain inside double quotes."""
    return Rule(
        max_length,
        (
            (has_unprintable, "has a line break, a control character or an invisible character"),
            (unsafe_characters, f"has a character that breaks a quoted string ({' '.join(UNSAFE_CHARACTERS)})"),
            (lambda text: not text[0].isalnum(), "does not start with a letter or a digit"),
            (lambda text: text[-1].isspace(), "ends with a space"),
        ),
        f"1 to {max_length} characters in any language, the first a letter or a digit, such as: {example}",
    )


RULES = {
    "project_name": free_text(60, "Parcel Tracker"),
    "project_slug": Rule(
        40,
        (
            (lambda slug: not slug.isascii(), "has non-ASCII characters"),
            (lambda slug: slug[0].isdigit(), "starts with a digit"),
            (lambda slug: "/" in slug or "\\" in slug or ".." in slug, "contains a path"),
            (lambda slug: slug != slug.lower(), "has upper-case letters"),
            (keyword.iskeyword, "is a Python keyword"),
            (lambda slug: slug in RESERVED_SLUGS, "is reserved: the service or the operating system uses this name"),
            (lambda slug: not SLUG.fullmatch(slug), "is not a valid slug"),
        ),
        "at most 40 characters: a lower-case letter, then lower-case letters and digits with single hyphens or "
        "underscores between them, such as: parcel-tracker",
    ),
    "description": free_text(160, "Tracks parcels."),
    "organisation": free_text(80, "Example Ltd"),
    "email": Rule(254, ((is_invalid_email, "is not an e-mail address"),), "an address such as: team@example.com"),
    "domain": Rule(253, ((is_invalid_domain, "is not a host name"),), "a host name in lower case: api.example.com"),
}


def problems_of(answer: str, rule: Rule) -> Iterator[str]:
    """Yield a message for each problem of one answer."""
    if not answer.strip():
        yield "is empty"
        return
    if len(answer) > rule.max_length:
        yield f"is longer than {rule.max_length} characters"
    yield from (message for is_invalid, message in rule.checks if is_invalid(answer))


def rejected_answers(answers: dict[str, str]) -> Iterator[str]:
    """Yield a message for each invalid answer: the answer, its problems, and valid values."""
    answers = answers | {"project_slug": answers["__typed_slug"]}
    for name, rule in RULES.items():
        problems = list(problems_of(answers[name], rule))
        if problems:
            yield f"{name} {answers[name][:80]!a} {', '.join(problems)}.\n      Valid: {rule.valid_values}"
    if answers["kubernetes"] == "yes" and "_" in answers["project_slug"]:
        yield "project_slug has an underscore; Kubernetes names may not.\n      Valid: hyphens instead of underscores"


def back_up_secrets() -> None:
    """Move the .env of an existing project away; the second hook restores it. Its keys cannot be generated again."""
    if Path(".env").exists():
        Path(".env").replace(".env.bake-backup")


def main() -> None:
    """Exit with status 1 if an answer is invalid."""
    rejected = list(rejected_answers(json.loads(RENDERED_ANSWERS)))
    if rejected:
        sys.exit("Invalid answers; no file was written:\n  - " + "\n  - ".join(rejected) + "\n")
    back_up_secrets()


if __name__ == "__main__":
    main()
