"""Refuses bad answers before a file is written, all of them at once.

cookiecutter renders this file with Jinja and runs it in the new, still empty folder; exit status 1 makes it remove that
folder. The slug is read from `__answered_slug`: one that is no folder name never reaches the disk, because
cookiecutter.json swaps it for a harmless one first (CONTRIBUTING.md tells how).
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

# JSON never holds three double quotes in a row and escapes control characters, so no answer can end this string.
RENDERED_ANSWERS = r"""{{ cookiecutter | jsonify }}"""

# Concatenated, not an f-string: the doubled braces of a quantifier in one are Jinja's.
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(r"(?:" + LABEL + r"\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,58}[a-z0-9])")
MAILBOX = re.compile(r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*")
LONGEST_MAILBOX = 64
SLUG = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")

# These end or start something inside the double quotes of Python, TOML, YAML, a shell or an HTML page.
UNQUOTABLE = '"\\$`{}<>'

# Names that the service's own folders, containers and hosts have, and those that Windows keeps for devices.
RESERVED_SLUGS = frozenset(
    {"app", "build", "celery", "cookiecutter", "deploy", "docs", "flask", "localhost", "migrations", "postgres"}
    | {"python", "redis", "scripts", "test", "tests", "wsgi", "aux", "con", "nul", "prn"}
    | {port + str(number) for port in ("com", "lpt") for number in range(1, 10)},
)


class Rule(NamedTuple):
    """What is asked of one answer: its longest form, its flaws (each a test and its wording), and what passes."""

    longest: int
    flaws: tuple[tuple[Callable[[str], object], str], ...]
    passes: str


def unquotable_in(text: str) -> str:
    """Name the characters of `text` that would break a quoted string."""
    return " ".join(sorted(set(text) & set(UNQUOTABLE)))


def has_unprintable(text: str) -> bool:
    """Tell whether `text` holds a newline, a control or an invisible character (Unicode classes C, Zl and Zp)."""
    return any(unicodedata.category(character)[0] == "C" or character in "\u2028\u2029" for character in text)


def is_no_domain(text: str) -> bool:
    """Tell whether `text` is not a host name of two labels or more (RFC 1035, lower case, no trailing dot)."""
    return not DOMAIN.fullmatch(text)


def is_no_email(text: str) -> bool:
    """Tell whether `text` is not mailbox@domain with plain ASCII characters (RFC 5321's dot-atom, no quoting)."""
    mailbox, at, domain = text.rpartition("@")
    return not (
        at and len(mailbox) <= LONGEST_MAILBOX and MAILBOX.fullmatch(mailbox) and DOMAIN.fullmatch(domain.lower())
    )


def free_text(longest: int, example: str) -> Rule:
    """Make the rule of an answer that is prose and ends up inside double quotes."""
    return Rule(
        longest,
        (
            (has_unprintable, "has a line break, a control character or an invisible one"),
            (unquotable_in, f"has a character that breaks a quoted string ({' '.join(UNQUOTABLE)})"),
            (lambda text: not text[0].isalnum(), "does not start with a letter or a digit"),
            (lambda text: text[-1].isspace(), "ends with a blank"),
        ),
        f"1 to {longest} characters of any language that start with a letter or a digit, such as: {example}",
    )


RULES = {
    "project_name": free_text(60, "Parcel Tracker"),
    "project_slug": Rule(
        40,
        (
            (lambda slug: not slug.isascii(), "has letters outside a to z"),
            (lambda slug: slug[0].isdigit(), "starts with a digit"),
            (lambda slug: "/" in slug or "\\" in slug or ".." in slug, "has a path in it"),
            (lambda slug: slug != slug.lower(), "has upper-case letters"),
            (keyword.iskeyword, "is a Python keyword"),
            (lambda slug: slug in RESERVED_SLUGS, "is reserved: the service or the system uses that name itself"),
            (lambda slug: not SLUG.fullmatch(slug), "is not a plain name"),
        ),
        "a lower-case letter, then letters and digits, with single hyphens or underscores between them, at most 40, "
        "such as: parcel-tracker",
    ),
    "description": free_text(160, "Tells where a parcel is."),
    "organisation": free_text(80, "Example Ltd"),
    "email": Rule(254, ((is_no_email, "is not an e-mail address"),), "an address such as: team@example.com"),
    "domain": Rule(253, ((is_no_domain, "is not a host name"),), "a lower-case host name such as: api.example.com"),
}


def flaws_of(answer: str, rule: Rule) -> Iterator[str]:
    """Yield what is wrong with one answer, in words."""
    if not answer.strip():
        yield "is empty"
        return
    if len(answer) > rule.longest:
        yield f"is longer than {rule.longest} characters"
    yield from (wording for has_flaw, wording in rule.flaws if has_flaw(answer))


def complaints(answers: dict[str, str]) -> Iterator[str]:
    """Yield one line for each answer that is refused: what was answered, what is wrong, and what would pass."""
    answers = answers | {"project_slug": answers["__answered_slug"]}
    for name, rule in RULES.items():
        flaws = list(flaws_of(answers[name], rule))
        if flaws:
            yield f"{name} {answers[name][:80]!a} {', '.join(flaws)}.\n      Would pass: {rule.passes}"
    if answers["kubernetes"] == "yes" and "_" in answers["project_slug"]:
        yield "project_slug has an underscore, which no Kubernetes name may have.\n      Would pass: hyphens instead"


def set_aside_secrets() -> None:
    """Keep the .env of a project baked over, which the second hook puts back: its keys cannot be made anew."""
    if Path(".env").exists():
        Path(".env").replace(".env.kept")


def main() -> None:
    """Refuse the answers with exit status 1, or let cookiecutter go on."""
    refused = list(complaints(json.loads(RENDERED_ANSWERS)))
    if refused:
        sys.exit("Nothing was written, as these answers cannot be used:\n  - " + "\n  - ".join(refused) + "\n")
    set_aside_secrets()


if __name__ == "__main__":
    main()
