"""Find every source line that Jinja would change by accident; a bake reports only the first one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from copy_source import SOURCE_NAME
from render_diff import DIRECTIVE, EXPRESSION, list_files

OPENER = re.compile(r"\{[{%#]")


def find_traps(source: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line with a Jinja opener outside an answer, or a blank line that Jinja removes."""
    previous = ""
    for number, line in enumerate(source.splitlines(), start=1):
        if OPENER.search(EXPRESSION.sub("", line)) or (DIRECTIVE.match(previous) and not line.strip()):
            yield number, line
        previous = line


def rendered_files(template: Path) -> Iterator[Path]:
    """Yield the text files of the source that cookiecutter renders."""
    unrendered = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))["_copy_without_render"]
    source = template / SOURCE_NAME
    for path in sorted(list_files(source)):
        if not any(fnmatch(path, pattern) for pattern in unrendered) and b"\0" not in (source / path).read_bytes():
            yield source / path


@pytest.mark.req("T5")
def test_rendered_files_contain_no_jinja_trap(template: Path) -> None:
    found = [
        f"{path.relative_to(template)}:{number}: {line.strip()}"
        for path in rendered_files(template)
        for number, line in find_traps(path.read_text(encoding="utf-8"))
    ]

    assert found == [], "\nRewrite these lines as CONTRIBUTING.md (Jinja traps) shows:\n" + "\n".join(found)


@pytest.mark.parametrize("line", ['f"{{x}}"', "{% raw %}", "${#list[@]}", "{{ .Labels.x }}", "# % if x\n\nkept"])
def test_trap_is_found(line: str) -> None:
    assert list(find_traps(line))


@pytest.mark.parametrize(
    "line", ['name = "{{ cookiecutter.project_slug }}"', "# % if x\nkept\n# % endif", "{'a': {1: 2}}"]
)
def test_valid_line_is_no_trap(line: str) -> None:
    assert list(find_traps(line)) == []
