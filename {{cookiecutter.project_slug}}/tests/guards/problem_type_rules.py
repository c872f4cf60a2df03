"""Rules for the types of problems. Each function returns the problems, with the fix."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from flask import Flask

from app.platform.web.problem_types import ProblemType, problem_types_of

NAME = re.compile("[a-z]+(-[a-z]+)*")
SAYS_IT_ALL = {HTTPStatus.NOT_FOUND}  # a status of 4xx that needs no type
DECLARE = "declare a ProblemType in problem_types.py of the feature, list it in `problem_types` of the Feature"


def registration_problems(app: Flask) -> list[str]:
    """Return the types of loaded modules that the app does not know."""
    known = problem_types_of(app)
    return [
        f"{module}.{constant} is not registered: list it in PROBLEM_TYPES, and that in `problem_types` of the Feature"
        for module, constant, kind in _constants()
        if known.get(kind.name) != kind
    ]


def _constants() -> Iterator[tuple[str, str, ProblemType]]:
    for module in [module for name, module in sys.modules.items() if name.startswith("app.")]:
        for constant, value in vars(module).items():
            if isinstance(value, ProblemType):
                yield module.__name__, constant, value


def name_problems(app: Flask) -> list[str]:
    """Return the types whose name is not in lower case with hyphens, or whose texts are no sentences."""
    return [
        f"{kind.name}: use lower case and hyphens, and end `meaning` and `action` with a full stop"
        for kind in problem_types_of(app).values()
        if not NAME.fullmatch(kind.name) or not kind.meaning.endswith(".") or not kind.action.endswith(".")
    ]


def raise_problems(root: Path) -> list[str]:
    """Return the calls of `Problem` with a status that does not say it all, or with a type made on the spot."""
    return [
        f"{path.relative_to(root)}:{call.lineno} gives Problem {ast.unparse(call.args[0])}: {DECLARE}, and pass it"
        for path in sorted((root / "app").rglob("*.py"))
        for call in _problem_calls(ast.parse(path.read_text(encoding="utf-8")))
        if _needs_type(call.args[0])
    ]


def _problem_calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem" and node.args:
            yield node


def _needs_type(kind: ast.expr) -> bool:
    match kind:
        case ast.Constant(value=int(status)):
            return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in SAYS_IT_ALL
        case ast.Name() | ast.Attribute():
            return False
        case _:
            return True
