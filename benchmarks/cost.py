"""What processes cost: CPU time and memory, read from Linux."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SCHEDULER_CLOCK = 2  # CPUCLOCK_SCHED of the kernel's posix-timers.h: all threads of a process, in nanoseconds


def _stat(pid: int) -> list[str]:
    """Return what /proc tells of a process (proc_pid_stat(5)), from its state on."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def parents() -> dict[int, int]:
    """Return the parent of every process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we were reading
            found[int(folder.name)] = int(_stat(int(folder.name))[1])
    return found


def family(pid: int) -> list[int]:
    """Return a process and all that come from it, elders first."""
    table, found = parents(), [pid]
    for elder in found:
        found += [child for child, parent in table.items() if parent == elder]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, its descendants and those of them that have ended."""
    return sum(_cpu_of(member) for member in family(pid))


def _cpu_of(pid: int) -> float:
    try:
        ended_children = sum(map(int, _stat(pid)[13:15])) / TICK
        return time.clock_gettime(~pid << 3 | SCHEDULER_CLOCK) + ended_children
    except OSError:
        return 0.0  # it has just ended, and counts from now on as its parent's


def memory(pid: int) -> dict[str, float]:
    """Return a process's memory in MB (10^6 bytes): `unshared`, and `proportional`, with its part of what is shared."""
    kilobytes = dict(_rollup(pid))
    unshared = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return {"unshared": unshared * 1024 / 1e6, "proportional": kilobytes["Pss"] * 1024 / 1e6}


def _rollup(pid: int) -> Iterator[tuple[str, int]]:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, amount = line.partition(":")
        yield name, int(amount.split()[0])
