"""Paired ratios: two things are measured alternately and divided pair by pair, which cancels the machine's drift."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Quartiles:
    """The median with the lower and the upper quartile."""

    median: float
    low: float
    high: float


def quartiles(values: Sequence[float]) -> Quartiles:
    """Return the quartiles of at least one value."""
    if len(values) == 1:
        return Quartiles(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Quartiles(median, low, high)


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the nearest-rank percentile; `fraction` is above 0 and at most 1."""
    ranked = sorted(values)
    return ranked[max(0, -int(-fraction * len(ranked) // 1) - 1)]


def alternate(measures: Sequence[Callable[[], T]], rounds: int) -> list[tuple[T, ...]]:
    """Call all functions once per round; every other round runs in reverse, because the first call may be slower."""
    return [
        tuple(reversed_if_odd([measure() for measure in reversed_if_odd(measures, number)], number))
        for number in range(rounds)
    ]


def reversed_if_odd(items: Sequence[T], number: int) -> Sequence[T]:
    """Return the items in reverse order if the number is odd; a second call restores the order."""
    return items[::-1] if number % 2 else items


def paired_ratio(pairs: Sequence[tuple[T, ...]], figure: Callable[[T], float]) -> Quartiles:
    """Return the quartiles of the first item's figure divided by the second's."""
    return quartiles([figure(first) / figure(second) for first, second in pairs])
