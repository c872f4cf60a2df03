"""Rules for the revisions in `migrations/versions`. Each function returns the problems, with the fix."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path


def dropped_trigger_problems(folder: Path, append_only: Collection[str]) -> list[str]:
    """Return the revisions that alter an append-only table by a batch and do not create its triggers again."""
    revisions = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
    return [
        f"{name} calls batch_alter_table for {table}, which drops the triggers of an append-only table on SQLite: use "
        f"op.add_column or op.create_index, or create the triggers again at the end (CREATE TRIGGER {table}_no_…, as "
        "in revision 0010)"
        for name, text in revisions.items()
        for table in sorted({*_batch_tables(text)} & {*append_only})
        if f"CREATE TRIGGER {table}_no_" not in text
    ]


def _batch_tables(text: str) -> Iterator[str]:
    """Yield the tables of the batches of a revision, also those that a constant names."""
    tree = ast.parse(text)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "batch_alter_table":
            arguments = [*node.args[:1], *(item.value for item in node.keywords if item.arg == "table_name")]
            for argument in arguments:
                yield str(getattr(argument, "value", constants.get(getattr(argument, "id", ""), "")))
