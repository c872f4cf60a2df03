"""The metric files of the processes of one container; a scrape adds up the counts of all files.

Each process writes to its own files in the directory `PROMETHEUS_MULTIPROC_DIR`. A file name contains a slot instead of
a process id: the next process with the same slot continues the counts of its files. So the number of files equals the
number of processes, and no count is lost when a process ends. Without the directory, counts stay in memory.

Import this module before any module that creates a metric.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prometheus_client import multiprocess, values

METRICS_DIR = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) if os.environ.get("PROMETHEUS_MULTIPROC_DIR") else None

_process = {"slot": "master"}
_acquire_callbacks: list[Callable[[], None]] = []

if METRICS_DIR:
    values.ValueClass = values.MultiProcessValue(lambda: _process["slot"])


def acquire(slot: int) -> None:
    """Use the files of a slot from now on; drops the live gauges of its previous process."""
    release(slot)
    _process["slot"] = str(slot)
    for callback in _acquire_callbacks:
        callback()


def on_acquire(callback: Callable[[], None]) -> None:
    """Call `callback` in every process that acquires a slot; immediately if processes have no slots."""
    if METRICS_DIR:
        _acquire_callbacks.append(callback)
    else:
        callback()


def release(slot: int) -> None:
    """Drop the live gauges (`livesum`) of a slot whose process is dead; its counters stay."""
    if METRICS_DIR:
        multiprocess.mark_process_dead(slot)


def metric_files(directory: Path) -> list[str]:
    """Return the files that contain counts; a file is empty between its creation and the first write."""
    return [str(file) for file in directory.glob("*.db") if _size(file)]


def _size(file: Path) -> int:
    """Return the size in bytes; 0 for a file that was deleted after it was listed."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def cleanup() -> None:
    """Delete all files; only for the last process that uses the directory."""
    if METRICS_DIR:
        for file in METRICS_DIR.glob("*.db"):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # it contains other files, or is a mount point
            METRICS_DIR.rmdir()
