"""Ratios that a drifting machine cannot bend: two things measured in turn, many times, and divided pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of the values does not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, -int(-share * len(ranked) // 1) - 1)]


def alternate(measures: Sequence[Callable[[], T]], rounds: int) -> list[tuple[T, ...]]:
    """Measure all in turn, so many times; every other round goes backwards, so that none always comes first."""
    return [tuple(turned([measure() for measure in turned(measures, number)], number)) for number in range(rounds)]


def turned(items: Sequence[T], number: int) -> Sequence[T]:
    """Turn the order round if the number is odd; a second time undoes it."""
    return items[::-1] if number % 2 else items


def ratio(pairs: Sequence[tuple[T, ...]], figure: Callable[[T], float]) -> Spread:
    """Return the first's figure over the second's, pair by pair."""
    return spread([figure(first) / figure(second) for first, second in pairs])
