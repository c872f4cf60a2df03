"""Compare a bake with the template's source, line by line.

The comparison does not render with Jinja. It applies the only two constructs that the source may contain:
`{{ cookiecutter.x }}` and `# %` directives. Every other change by Jinja (lost braces of Go or Python, a lost blank line
after a directive) is reported as a difference.
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
UNTRACKED = {".env"}  # written by the hook; has its own tests

Answers = dict[str, Any]

jinja = Environment(autoescape=False)  # noqa: S701  # renders source code, not HTML
jinja.filters["slugify"] = slugify


def evaluate(expression: str, answers: Answers) -> str:
    """Return the value of a Jinja expression over the answers."""
    return str(jinja.compile_expression(expression)(cookiecutter=answers))


def render_line(line: str, answers: Answers) -> str:
    """Return a source line with its answers substituted and nothing else changed."""
    return EXPRESSION.sub(lambda match: evaluate(match[1], answers), line)


def expected_lines(source: str, answers: Answers) -> list[str]:
    """Return the expected lines of a rendered source file; directives do not nest."""
    lines, active, branch_taken = [], True, True
    for line in source.splitlines(keepends=True):
        directive = DIRECTIVE.match(line)
        if directive is None:
            lines += [render_line(line, answers)] if active else []
        elif directive[1] == "endif":
            active = branch_taken = True
        else:
            taken_before = directive[1] != "if" and branch_taken
            active = not taken_before and (directive[1] == "else" or evaluate(directive[2], answers) == "True")
            branch_taken = taken_before or active
    return lines


def list_files(folder: Path) -> set[str]:
    """Return the files under `folder`, except those of git and UNTRACKED."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {path.as_posix() for path in paths if path.parts[0] != ".git"} - UNTRACKED


def diff_file(source: Path, bake: Path, answers: Answers, *, rendered: bool) -> Iterator[str]:
    """Yield the first line of a baked file that differs from its source, and a difference of the file mode."""
    if source.stat().st_mode != bake.stat().st_mode:
        yield f"mode {oct(source.stat().st_mode)} became {oct(bake.stat().st_mode)}"
    if not rendered or b"\0" in source.read_bytes():
        if source.read_bytes() != bake.read_bytes():
            yield "is copied without rendering, but its bytes differ"
        return
    expected = expected_lines(source.read_bytes().decode(), answers)
    actual = bake.read_bytes().decode().splitlines(keepends=True)
    for number, (expected_line, actual_line) in enumerate(zip_longest(expected, actual), start=1):
        if expected_line != actual_line:
            yield f"line {number}: {expected_line!r} became {actual_line!r}"
            return  # later lines are shifted and would differ too


def diff_bake(template: Path, bake: Path, answers: Answers, removed_paths: tuple[str, ...]) -> list[str]:
    """Return all differences between a bake and the template's source; `removed_paths` may be missing."""
    unrendered = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))["_copy_without_render"]
    source = next(template.glob("{{*}}"))
    in_source, in_bake = list_files(source), list_files(bake)
    removed = {path for path in in_source if any(path == p or path.startswith(f"{p}/") for p in removed_paths)}
    found = [f"{path} is missing in the bake" for path in sorted(in_source - removed - in_bake)]
    found += [f"{path} is not in the source" for path in sorted(in_bake - in_source)]
    for path in sorted((in_source & in_bake) - removed):
        rendered = not any(fnmatch(path, pattern) for pattern in unrendered)
        found += [f"{path}: {text}" for text in diff_file(source / path, bake / path, answers, rendered=rendered)]
    return found
