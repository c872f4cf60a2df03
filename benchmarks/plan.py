"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The extent of a run. Sizes are rows of `user_locations`; the ratio of the largest to the smallest is judged."""

    rounds: int  # pairs of windows for each ratio
    fresh: int  # pairs of new processes for what parts of the service cost; each side starts first in half of them
    fine_rounds: int  # with each of them, for what tracing and profiling cost together
    part_rounds: int  # with each of them, for what each part costs
    window: float  # seconds
    long_window: float  # seconds, where a percentile is judged, which takes many answers
    warm_up: float  # seconds of load before the first window
    starts: int  # of each server, beside those that are needed anyway
    sizes: tuple[int, ...]


PLANS = {
    "full": Plan(
        rounds=10,
        fresh=8,
        fine_rounds=4,
        part_rounds=1,
        window=2,
        long_window=2,
        warm_up=1,
        starts=3,
        sizes=(10**4, 10**5, 10**6, 10**7),
    ),
    "quick": Plan(
        rounds=4,
        fresh=2,
        fine_rounds=4,
        part_rounds=1,
        window=0.6,
        long_window=2,
        warm_up=0.5,
        starts=1,
        sizes=(10**4, 10**5),
    ),
    # Shows that everything runs; its figures mean nothing.
    "smoke": Plan(
        rounds=1,
        fresh=1,
        fine_rounds=1,
        part_rounds=1,
        window=0.1,
        long_window=0.1,
        warm_up=0,
        starts=0,
        sizes=(10**4, 2 * 10**4),
    ),
}
