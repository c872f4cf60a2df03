"""List the tests of each requirement and of each fault: `python scripts/requirements_coverage.py [FILE ...]`.

A test names its requirements with `@pytest.mark.req("T2")`, and the faults that it shows to be fixed with
`@pytest.mark.fault("F7")`. An id in a FILE stands at the start of a line or of a table row (`| T1 | ...`); a line may
start with several ids. With a FILE, its ids without a test are listed too; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEST_FOLDERS = ("tests", "{{cookiecutter.project_slug}}/tests")
MARKS = {"pytest.mark.req", "pytest.mark.fault"}
ID = re.compile(r"\b[A-Z]\d{1,2}\b")
IDS_AT_START_OF_LINE = re.compile(rf"^\W*((?:{ID.pattern}[ ,;]*)+)", re.MULTILINE)


def marked_ids(expressions: list[ast.expr]) -> Iterator[str]:
    """Yield the arguments of each `req` and `fault` mark in `expressions`, also those of a `pytest.param`."""
    for node in (node for expression in expressions for node in ast.walk(expression)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in MARKS:
            yield from (str(ast.literal_eval(argument)) for argument in node.args)


def module_marks(module: ast.Module) -> list[ast.expr]:
    """Return the module's `pytestmark`, which applies to all its tests."""
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return [node.value]
    return []


def ids_in_tests(source: str) -> Iterator[tuple[str, str]]:
    """Yield (id, test name) for a test module's `source`; tests inherit the marks of class and module."""
    module = ast.parse(source)
    shared = list(marked_ids(module_marks(module)))
    for node in module.body:
        tests = [node, *(node.body if isinstance(node, ast.ClassDef) else [])]
        for test in tests:
            if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test"):
                decorators = (
                    [*node.decorator_list, *test.decorator_list]
                    if isinstance(node, ast.ClassDef)
                    else test.decorator_list
                )
                ids = dict.fromkeys([*shared, *marked_ids(decorators)])
                yield from ((id_, test.name) for id_ in ids)


def find_tests() -> dict[str, list[str]]:
    """Return the tests of the template and of the service for each requirement and fault."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in TEST_FOLDERS:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            for id_, name in ids_in_tests(path.read_text(encoding="utf-8")):
                found[id_].append(f"{path.relative_to(ROOT)}::{name}")
    return found


def ids_in_list(text: str) -> list[str]:
    """Return the ids of a list or table: `C1` within a sentence is not an id."""
    return [id_ for ids in IDS_AT_START_OF_LINE.findall(text) for id_ in ID.findall(ids)]


def sort_key(id_: str) -> tuple[str, int]:
    """Sort S2 before S10."""
    return id_[0], int(id_[1:])


def main() -> None:
    """Print requirements and faults with their tests, and the ids of the given files without a test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    files: list[Path] = parser.parse_args().files
    for file in files:
        if not file.is_file():
            parser.error(f"{file} does not exist")
    found = find_tests()
    for id_ in sorted(found, key=sort_key):
        print(id_, *found[id_], sep="\n    ")
    wanted = {id_ for file in files for id_ in ids_in_list(file.read_text(encoding="utf-8"))}
    missing = sorted(wanted - found.keys(), key=sort_key)
    faults = [id_ for id_ in missing if id_.startswith("F")]
    requirements = [id_ for id_ in missing if not id_.startswith("F")]
    if requirements:
        print("Requirements without a test:", *requirements)
    if faults:
        print("Faults without a test:", *faults)
    sys.exit(bool(missing))


if __name__ == "__main__":
    main()
