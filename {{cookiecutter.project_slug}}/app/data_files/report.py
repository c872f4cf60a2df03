"""The report of a test: the number of rows, the columns, the problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, Any

from app.data_files.reading import MAX_COLUMNS, Heartbeat, MalformedFile, MalformedHeader, Row, rows

MAX_PROBLEMS = 20  # listed in a report; further ones are only counted


@dataclass
class Column:
    """The types of a column's values, and how many values it has."""

    types: set[str] = field(default_factory=set)
    value_count: int = 0

    @property
    def type(self) -> str:
        """The type of all values; `mixed` if they differ, `empty` if there are none."""
        if self.types == {"integer", "number"}:
            return "number"
        return next(iter(self.types), "empty") if len(self.types) <= 1 else "mixed"


@dataclass
class Report:
    """The result of reading a file, or the part of it that was read so far."""

    rows: int = 0
    columns: dict[str, Column] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    problem_count: int = 0

    @property
    def passed(self) -> bool:
        """Whether the file has no problems."""
        return not self.problem_count

    def add(self, row: Row) -> None:
        """Count a row; raises `MalformedFile` if the rows together have too many columns."""
        self.rows += 1
        for name, type_ in row.types.items():
            column = self.columns.get(name) or self.columns.setdefault(name, Column())
            if type_:
                column.types.add(type_)
                column.value_count += 1
        if row.problem:
            self.add_problem(row.problem, self.rows)
        if len(self.columns) > MAX_COLUMNS:
            raise MalformedFile(f"The rows have more than {MAX_COLUMNS} different members.")

    def add_problem(self, message: str, row: int | None = None) -> None:
        """Add a problem of a row, or of the whole file if `row` is None."""
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append({"row": row, "message": printable(message)})

    def as_json(self) -> dict[str, Any]:
        """Return the report as the database stores it and the API returns it."""
        columns = [
            {"name": printable(name), "type": column.type, "missing": self.rows - column.value_count}
            for name, column in self.columns.items()
        ]
        counts = {"rows": self.rows, "problem_count": self.problem_count}
        return {**counts, "columns": columns, "problems": self.problems}


def validate_file(stream: IO[bytes], media_type: str, heartbeat: Heartbeat) -> Report:
    """Read a file to its end or to the first error that stops the reading; `reading.rows` describes `heartbeat`."""
    report = Report()
    try:
        for row in rows(stream, media_type, heartbeat):
            report.add(row)
    except MalformedHeader as error:
        report.add_problem(str(error))
    except MalformedFile as error:
        report.add_problem(str(error), report.rows + 1)
    if not report.rows and report.passed:
        report.add_problem("The file has no rows.")
    return report


def failed_report(message: str) -> Report:
    """Return a report with this problem of the whole file."""
    report = Report()
    report.add_problem(message)
    return report


def printable(name: str) -> str:
    """Replace unprintable characters, which are unsafe for databases (NUL) and terminals (escape)."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
