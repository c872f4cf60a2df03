"""CPU time and memory of processes, read from Linux (/proc and the kernel's CPU clocks)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SCHEDULER_CLOCK = 2  # CPUCLOCK_SCHED of the kernel's posix-timers.h: all threads of a process, in nanoseconds


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat (proc_pid_stat(5)) from the process state on."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def parent_pids() -> dict[int, int]:
    """Return the parent's pid of every process."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process ended during the scan
            parents[int(folder.name)] = int(_stat(int(folder.name))[1])
    return parents


def process_tree(pid: int) -> list[int]:
    """Return the pids of a process and all its descendants, parents before children."""
    parents, tree = parent_pids(), [pid]
    for member in tree:
        tree += [child for child, parent in parents.items() if parent == member]
    return tree


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its descendants, including those that have ended."""
    return sum(_process_cpu(member) for member in process_tree(pid))


def _process_cpu(pid: int) -> float:
    try:
        ended_children = sum(map(int, _stat(pid)[13:15])) / TICKS_PER_SECOND
        return time.clock_gettime(~pid << 3 | SCHEDULER_CLOCK) + ended_children
    except OSError:
        return 0.0  # the process has just ended; its parent's time now includes its own


def memory_mb(pid: int) -> dict[str, float]:
    """Return a process's unique set size (`uss`) and proportional set size (`pss`) in MB (10^6 bytes)."""
    kilobytes = dict(_smaps_rollup(pid))
    uss = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return {"uss": uss * 1024 / 1e6, "pss": kilobytes["Pss"] * 1024 / 1e6}


def _smaps_rollup(pid: int) -> Iterator[tuple[str, int]]:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, amount = line.partition(":")
        yield name, int(amount.split()[0])
