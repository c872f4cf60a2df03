"""The mutants of a module: each differs in one statement or expression.

Names, messages, annotations and documentation stay, because a test should not depend on their text. A mutant that only
fails to import is not created.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}
# Without these decorators a class or function cannot be used at all, or it is only slower.
KEPT_DECORATORS = ("dataclass", "property", "contextmanager", "staticmethod", "classmethod", "cache", "lru_cache")
# Types and names, which exist for readers and type checkers.
IGNORED_FIELDS = {"annotation", "returns", "type_params"}
IGNORED_CALLS = {"getLogger", "cast", "TypeVar", "lru_cache", "dataclass"}
MAX_TEXT = 100
UNCHANGED = -1  # the number of a mutant without a change


@dataclass(frozen=True)
class Mutant:
    """A change of `path` in `scope`, a qualified name; `number` counts the mutants of the module."""

    path: str
    number: int
    scope: str
    lines: range
    before: str
    after: str

    def __str__(self) -> str:
        """Return the change as a row of the table in docs/testing.md."""
        return f"`{self.path}` | `{self.scope}` | `{self.before}` | `{self.after}`"


@dataclass(frozen=True)
class Edit:
    """The replacement of a node by another one, or by nothing."""

    node: ast.AST
    scope: str
    before: str
    after: str
    apply: Callable[[], None]


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return all mutants of a module."""
    return [
        Mutant(path, number, edit.scope, _lines(edit.node), edit.before, edit.after)
        for number, edit in enumerate(_edits(ast.parse(source)))
    ]


def mutated_code(source: str, number: int, file: str) -> CodeType:
    """Return the code of the module with its mutant `number`; `file` is the name that tracebacks show."""
    tree = ast.parse(source)
    if number != UNCHANGED:
        list(_edits(tree))[number].apply()
    return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)


def _lines(node: ast.AST) -> range:
    first = getattr(node, "lineno", 1)
    return range(first, (getattr(node, "end_lineno", None) or first) + 1)


def _edits(tree: ast.Module) -> Iterator[Edit]:
    yield from _edits_below(tree, "")


def _edits_below(parent: ast.AST, scope: str) -> Iterator[Edit]:
    """Yield the edits of all descendants, in the order of the source."""
    for name, value in ast.iter_fields(parent):
        if name in IGNORED_FIELDS or isinstance(parent, ast.JoinedStr):
            continue
        nodes = value if isinstance(value, list) else [value]
        for index, node in enumerate(nodes):
            if not isinstance(node, ast.AST) or _is_ignored(node):
                continue
            place = (parent, name, index if isinstance(value, list) else None)
            for new in _replacements(node, name):
                yield _edit(node, new, place, scope)
            yield from _edits_below(node, _inner_scope(node, scope))


def _inner_scope(node: ast.AST, scope: str) -> str:
    is_scope = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    return f"{scope}.{node.name}".strip(".") if is_scope else scope  # type: ignore[attr-defined] # all three have a name


def _is_ignored(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # documentation
    if isinstance(node, ast.Call):
        return _last_name(node.func) in IGNORED_CALLS
    return isinstance(node, ast.Import | ast.ImportFrom)


def _last_name(node: ast.AST) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _edit(node: ast.AST, new: ast.AST | None, place: tuple[ast.AST, str, int | None], scope: str) -> Edit:
    parent, name, index = place
    if new is not None:
        ast.copy_location(new, node)

    def apply() -> None:
        if index is None:
            setattr(parent, name, new)
        elif new is None:
            del getattr(parent, name)[index]
        else:
            getattr(parent, name)[index] = new

    return Edit(node, scope or "module", _text(node), _text(new) if new is not None else "removed", apply)


def _text(node: ast.AST) -> str:
    """Return the beginning of a node's source; of a compound statement without its body."""
    text = ast.unparse(node).partition("\n")[0].replace("|", "or").replace("`", "'")
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def _replacements(node: ast.AST, field: str) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.stmt):
        yield from _statement_replacements(node)
    elif isinstance(node, ast.keyword):
        yield from [None] if node.arg else []
    elif isinstance(node, ast.expr):
        if field == "decorator_list" and _last_name(node) not in KEPT_DECORATORS:
            yield None
        if field == "ifs":
            yield ast.Constant(True)
        yield from _expression_replacements(node)


def _statement_replacements(node: ast.stmt) -> Iterator[ast.AST]:
    match node:
        case ast.Expr() | ast.Raise() | ast.AugAssign() | ast.Delete():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            yield ast.Pass()
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.If():
            yield from (_with(node, test=ast.Constant(value)) for value in (True, False))
        case ast.While():
            yield _with(node, test=ast.Constant(False))
        case ast.For():
            yield _with(node, iter=ast.Tuple([], ast.Load()))
        case _:
            pass


def _expression_replacements(node: ast.expr) -> Iterator[ast.AST]:
    match node:
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for index in range(len(values)):
                rest = [*values[:index], *values[index + 1 :]]
                yield ast.BoolOp(op, rest) if len(rest) > 1 else rest[0]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Compare(left=left, ops=[op], comparators=comparators):
            yield ast.Compare(left, [COMPARISONS[type(op)]()], comparators)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.Constant(value=value):
            yield from (ast.Constant(new) for new in _other_values(value))
        case _:
            pass


def _other_values(value: object) -> Iterator[str | float]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value * 2
    elif isinstance(value, str) and value and not any(character.isspace() for character in value):
        yield f"other-{value}"  # a name; text with spaces is a message


def _with(node: ast.stmt, **changes: ast.expr) -> ast.stmt:
    return type(node)(**{**dict(ast.iter_fields(node)), **changes})
