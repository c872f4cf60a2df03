"""Holds a bake against its source, line by line.

It does not ask Jinja what a file becomes: it says so itself, from the two things that a source may hold, answers
named in `{{ cookiecutter.x }}` and `# %` directives. Whatever else Jinja does to a file (braces of Go or Python eaten,
a blank line after a directive swallowed) is therefore a difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import zip_longest
from pathlib import Path
from typing import Any

from jinja2 import Environment
from slugify import slugify

EXPRESSION = re.compile(r"\{\{-? *([^{}]*\bcookiecutter\.[^{}]*?) *-?\}\}")
DIRECTIVE = re.compile(r"^\s*# % *(if|elif|else|endif)\b *(.*)$")
UNTRACKED = {".env"}  # made by the hook, and tested apart

Answers = dict[str, Any]

jinja = Environment(autoescape=False)  # noqa: S701  # source code, not a page
jinja.filters["slugify"] = slugify


def value(expression: str, answers: Answers) -> str:
    """Return what an expression over the answers comes to."""
    return str(jinja.compile_expression(expression)(cookiecutter=answers))


def substituted(line: str, answers: Answers) -> str:
    """Return a line of source with its answers filled in, and nothing else changed."""
    return EXPRESSION.sub(lambda found: value(found[1], answers), line)


def expected_lines(source: str, answers: Answers) -> list[str]:
    """Return the lines that a source file has to become; directives do not nest."""
    lines, chosen, was_chosen = [], True, True
    for line in source.splitlines(keepends=True):
        directive = DIRECTIVE.match(line)
        if directive is None:
            lines += [substituted(line, answers)] if chosen else []
        elif directive[1] == "endif":
            chosen = was_chosen = True
        else:
            before = directive[1] != "if" and was_chosen
            chosen = not before and (directive[1] == "else" or value(directive[2], answers) == "True")
            was_chosen = before or chosen
    return lines


def files_of(folder: Path) -> set[str]:
    """Return the files under `folder`, git's own aside."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {path.as_posix() for path in paths if path.parts[0] != ".git"} - UNTRACKED


def file_differences(source: Path, bake: Path, answers: Answers, *, rendered: bool) -> Iterator[str]:
    """Yield how a baked file differs from what its source says, line by line, and whether its mode does."""
    if source.stat().st_mode != bake.stat().st_mode:
        yield f"mode {oct(source.stat().st_mode)} became {oct(bake.stat().st_mode)}"
    if not rendered or b"\0" in source.read_bytes():
        if source.read_bytes() != bake.read_bytes():
            yield "is to be copied, yet its bytes differ"
        return
    wanted = expected_lines(source.read_bytes().decode(), answers)
    got = bake.read_bytes().decode().splitlines(keepends=True)
    for number, (want, have) in enumerate(zip_longest(wanted, got), start=1):
        if want != have:
            yield f"line {number}: {want!r} became {have!r}"
            return  # the lines below are moved, not different


def differences(template: Path, bake: Path, answers: Answers, unchosen: tuple[str, ...]) -> list[str]:
    """Return what differs between the template's source and a bake of it where no answer is named."""
    copied = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))["_copy_without_render"]
    source = next(template.glob("{{*}}"))
    here, there = files_of(source), files_of(bake)
    gone = {path for path in here if any(path == owned or path.startswith(f"{owned}/") for owned in unchosen)}
    found = [f"{path} was not baked" for path in sorted(here - gone - there)]
    found += [f"{path} has no source" for path in sorted(there - here)]
    for path in sorted((here & there) - gone):
        rendered = not any(fnmatch(path, pattern) for pattern in copied)
        found += [
            f"{path}: {text}" for text in file_differences(source / path, bake / path, answers, rendered=rendered)
        ]
    return found
