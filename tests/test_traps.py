"""Names every line of the source that Jinja would take for its own: all at once, where a bake stops at the first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from line_comparison import DIRECTIVE, EXPRESSION, files_of
from source_copy import SOURCE_NAME

OPENER = re.compile(r"\{[{%#]")


def traps_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line with an opener that names no answer, or a blank line that gets lost."""
    before = ""
    for number, line in enumerate(source.splitlines(), start=1):
        if OPENER.search(EXPRESSION.sub("", line)) or (DIRECTIVE.match(before) and not line.strip()):
            yield number, line
        before = line


def rendered_files(template: Path) -> Iterator[Path]:
    """Yield the text files of the source that cookiecutter renders."""
    copied = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))["_copy_without_render"]
    source = template / SOURCE_NAME
    for path in sorted(files_of(source)):
        if not any(fnmatch(path, pattern) for pattern in copied) and b"\0" not in (source / path).read_bytes():
            yield source / path


@pytest.mark.req("T5")
def test_no_rendered_file_holds_what_jinja_would_take_for_its_own(template: Path) -> None:
    found = [
        f"{path.relative_to(template)}:{number}: {line.strip()}"
        for path in rendered_files(template)
        for number, line in traps_in(path.read_text(encoding="utf-8"))
    ]

    assert found == [], "\nWrite these lines otherwise; CONTRIBUTING.md (Traps) says how:\n" + "\n".join(found)


@pytest.mark.parametrize("line", ['f"{{x}}"', "{% raw %}", "${#list[@]}", "{{ .Labels.x }}", "# % if x\n\nkept"])
def test_each_trap_is_seen(line: str) -> None:
    assert list(traps_in(line))


@pytest.mark.parametrize(
    "line", ['name = "{{ cookiecutter.project_slug }}"', "# % if x\nkept\n# % endif", "{'a': {1: 2}}"]
)
def test_what_is_no_trap_is_let_be(line: str) -> None:
    assert list(traps_in(line)) == []
