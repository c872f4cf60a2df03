"""Lists which tests show which row of the requirements: `python scripts/list_rows.py [FILE OF IDS]`.

Every word of the file that looks like an id (T1, S12) is one; with it, the rows that no test shows are listed too and
the exit status is 1 if there are any.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ("tests", "{{cookiecutter.project_slug}}/tests")
ROW = re.compile(r"\b[A-Z]\d{1,2}\b")


def marked_rows(decorators: list[ast.expr]) -> Iterator[str]:
    """Yield the rows that `@pytest.mark.req(...)` names among `decorators`."""
    for decorator in decorators:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.req":
            yield from (str(ast.literal_eval(row)) for row in decorator.args)


def module_marks(module: ast.Module) -> list[ast.expr]:
    """Return the marks that a module gives to all its tests through `pytestmark`."""
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return list(node.value.elts) if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
    return []


def rows_in(source: str) -> Iterator[tuple[str, str]]:
    """Yield each row and test of one test module's `source`; a class hands its marks to its tests."""
    module = ast.parse(source)
    shared = list(marked_rows(module_marks(module)))
    for node in module.body:
        tests = [node, *(node.body if isinstance(node, ast.ClassDef) else [])]
        for test in tests:
            if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test"):
                own = (
                    [*node.decorator_list, *test.decorator_list]
                    if isinstance(node, ast.ClassDef)
                    else test.decorator_list
                )
                yield from ((row, test.name) for row in dict.fromkeys([*shared, *marked_rows(own)]))


def tests_by_row() -> dict[str, list[str]]:
    """Return, for each row, the tests of the template and of the service that show it."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in TESTS:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            for row, name in rows_in(path.read_text(encoding="utf-8")):
                found[row].append(f"{path.relative_to(ROOT)}::{name}")
    return found


def in_order(row: str) -> tuple[str, int]:
    """Sort S2 before S10."""
    return row[0], int(row[1:])


def main() -> None:
    """Print the rows, and those without a test."""
    found = tests_by_row()
    for row in sorted(found, key=in_order):
        print(row, *found[row], sep="\n    ")
    wanted = ROW.findall(Path(sys.argv[1]).read_text(encoding="utf-8")) if sys.argv[1:] else []
    missing = sorted(set(wanted) - found.keys(), key=in_order)
    if missing:
        sys.exit(f"No test shows: {' '.join(missing)}")


if __name__ == "__main__":
    main()
