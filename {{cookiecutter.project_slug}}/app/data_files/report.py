"""What a test says of a file: how many rows, which columns, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, Any

from app.data_files.reading import MOST_COLUMNS, Broken, BrokenHead, Row, Sign, rows

MOST_PROBLEMS = 20  # that are told of; more are counted


@dataclass
class Column:
    """What is known of a column: which kinds its values are of, and how many there are."""

    kinds: set[str] = field(default_factory=set)
    filled: int = 0

    @property
    def type(self) -> str:
        """The one kind that all values are of, `mixed` or, for a column without any value, `empty`."""
        if self.kinds == {"integer", "number"}:
            return "number"
        return next(iter(self.kinds), "empty") if len(self.kinds) <= 1 else "mixed"


@dataclass
class Report:
    """What has been seen of a file so far."""

    rows: int = 0
    columns: dict[str, Column] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    problem_count: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with the file."""
        return not self.problem_count

    def add(self, row: Row) -> None:
        """Count a row; raises `Broken` when there are too many columns by now."""
        self.rows += 1
        for name, kind in row.kinds.items():
            column = self.columns.get(name) or self.columns.setdefault(name, Column())
            if kind:
                column.kinds.add(kind)
                column.filled += 1
        if row.fault:
            self.complain(row.fault, self.rows)
        if len(self.columns) > MOST_COLUMNS:
            raise Broken(f"The rows have more than {MOST_COLUMNS} different members.")

    def complain(self, message: str, row: int | None = None) -> None:
        """Note what is wrong, with a row or with the file."""
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append({"row": row, "message": message})

    def as_json(self) -> dict[str, Any]:
        """The report, to be kept and shown."""
        columns = [
            {"name": shown(name), "type": column.type, "missing": self.rows - column.filled}
            for name, column in self.columns.items()
        ]
        counts = {"rows": self.rows, "problem_count": self.problem_count}
        return {**counts, "columns": columns, "problems": self.problems}


def examine(stream: IO[bytes], media_type: str, sign: Sign) -> Report:
    """Read a file to its end, or until it cannot be read any further; see `reading.rows` for `sign`."""
    report = Report()
    try:
        for row in rows(stream, media_type, sign):
            report.add(row)
    except BrokenHead as broken:
        report.complain(str(broken))
    except Broken as broken:
        report.complain(str(broken), report.rows + 1)
    if not report.rows and report.passed:
        report.complain("The file has no rows.")
    return report


def refusal(message: str) -> Report:
    """The report on a file that could not be read at all."""
    report = Report()
    report.complain(message)
    return report


def shown(name: str) -> str:
    """A name with every character replaced that no database or terminal should be given."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
