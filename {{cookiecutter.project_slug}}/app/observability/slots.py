"""Where the processes of one container keep their counts, so that whichever is scraped can add them all up.

Each process counts in files of its own, in the folder that `PROMETHEUS_MULTIPROC_DIR` names. A file carries a slot
instead of a process id: whichever process takes over a slot goes on counting in its files, so that there are as many
files as there are processes at a time, and no count is lost with a process. Without the folder, a process counts for
itself in memory.

This is imported before anything that makes a metric.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prometheus_client import multiprocess, values

FOLDER = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) if os.environ.get("PROMETHEUS_MULTIPROC_DIR") else None

_own = {"slot": "master"}
_beginnings: list[Callable[[], None]] = []

if FOLDER:
    values.ValueClass = values.MultiProcessValue(lambda: _own["slot"])


def take(slot: int) -> None:
    """Count in the files of a slot from now on; what its last process was doing when it died is forgotten."""
    free(slot)
    _own["slot"] = str(slot)
    for begin in _beginnings:
        begin()


def at_beginning(begin: Callable[[], None]) -> None:
    """Call `begin` in every process that takes a slot; where processes have none, now."""
    if FOLDER:
        _beginnings.append(begin)
    else:
        begin()


def free(slot: int) -> None:
    """Forget what the process of a slot, which is dead, was doing; what it has done stays counted."""
    if FOLDER:
        multiprocess.mark_process_dead(slot)


def written(folder: Path) -> list[str]:
    """The files that hold counts: one is empty when it is made, and stays so if that was the last its process did."""
    return [str(file) for file in folder.glob("*.db") if _size(file)]


def _size(file: Path) -> int:
    """In bytes; none of a file that was removed since it was listed."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def discard() -> None:
    """Leave no files behind; only where no other process counts in them any more."""
    if FOLDER:
        for file in FOLDER.glob("*.db"):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # something else lies there, or it is mounted
            FOLDER.rmdir()
