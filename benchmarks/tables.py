"""Tables of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.pairs import Spread


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, its first column to the left and the others to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for first, *others in (head, *rows):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])


def short(found: Spread) -> str:
    """Return a median with its quartiles."""
    return f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"
