"""Extent of a run: full, quick or smoke."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Numbers of repetitions, durations in seconds, and table sizes in rows of `user_locations`.

    A target limits the ratio of the largest table's p95 latency to the smallest's.
    """

    rounds: int  # pairs of measurements per ratio
    process_pairs: int  # pairs of new processes per feature; each variant starts first in half of them
    tracing_rounds: int  # pairs of measurements per process pair, for tracing and query profiler together
    feature_rounds: int  # pairs of measurements per process pair, for each feature
    duration: float  # of a measurement
    percentile_duration: float  # of a measurement for a percentile with a target, which needs many responses
    warm_up: float  # load before the first measurement
    starts: int  # of each server, in addition to the starts for other measurements
    table_sizes: tuple[int, ...]


PLANS = {
    "full": Plan(
        rounds=10,
        process_pairs=8,
        tracing_rounds=4,
        feature_rounds=1,
        duration=2,
        percentile_duration=2,
        warm_up=1,
        starts=3,
        table_sizes=(10**4, 10**5, 10**6, 10**7),
    ),
    "quick": Plan(
        rounds=4,
        process_pairs=2,
        tracing_rounds=4,
        feature_rounds=1,
        duration=0.6,
        percentile_duration=2,
        warm_up=0.5,
        starts=1,
        table_sizes=(10**4, 10**5),
    ),
    # For tests: runs everything; the figures are meaningless.
    "smoke": Plan(
        rounds=1,
        process_pairs=1,
        tracing_rounds=1,
        feature_rounds=1,
        duration=0.1,
        percentile_duration=0.1,
        warm_up=0,
        starts=0,
        table_sizes=(10**4, 2 * 10**4),
    ),
}
