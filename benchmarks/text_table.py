"""Plain-text tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.paired_statistics import Quartiles


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; the first column is left-aligned, the others are right-aligned."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for first, *others in (header, *rows):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])


def format_quartiles(value: Quartiles) -> str:
    """Return the median with its quartiles, such as "1.06 (1.04-1.12)"."""
    return f"{value.median:.2f} ({value.low:.2f}-{value.high:.2f})"
