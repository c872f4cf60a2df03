"""Profiles the CPU time and the memory of this process by sampling.

A thread samples the stacks of all other threads a hundred times per second, and adds the CPU time that each thread used
since the previous sample to its stack: waiting threads add nothing. This needs no permission to trace processes, and
costs nothing while no profile runs.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pyinstrument.renderers import ConsoleRenderer, HTMLRenderer
from pyinstrument.session import Session

INTERVAL_SECONDS = 0.01
TOP = 10
ROOT = str(Path(__file__).resolve().parents[3])

Stack = tuple[str, ...]  # the outermost function first, in the format of pyinstrument
SEPARATOR = "\x00"


@dataclass(frozen=True)
class FunctionProfile:
    """A function, and the CPU time that it used itself: in seconds, and as a share of the total."""

    name: str
    location: str
    seconds: float
    share: float

    def __str__(self) -> str:
        return f"{self.share:6.1%} {self.seconds:9.2f} s  {self.name}  {self.location}"


@dataclass(frozen=True)
class Allocation:
    """A line of code, and the bytes and objects that it allocated and that are not freed."""

    location: str
    size: int
    count: int

    def __str__(self) -> str:
        return f"{self.size / 1024:11.1f} KiB {self.count:9d} objects  {self.location}"


class CpuProfile:
    """The CPU time of all threads, by stack."""

    def __init__(self, stacks: Mapping[Stack, float], seconds: float, samples: int) -> None:
        self._stacks, self._seconds, self._samples = stacks, seconds, samples
        self.used = sum(stacks.values())  # CPU seconds

    def top(self, count: int = TOP) -> list[FunctionProfile]:
        """Return the functions with the most CPU time of their own, without their callees."""
        self_times: defaultdict[str, float] = defaultdict(float)
        for stack, used in self._stacks.items():
            self_times[stack[-1]] += used
        largest = sorted(self_times, key=self_times.__getitem__, reverse=True)[:count]
        return [self._function(identifier, self_times[identifier]) for identifier in largest]

    def _function(self, identifier: str, used: float) -> FunctionProfile:
        name, file, line = identifier.split(SEPARATOR)
        return FunctionProfile(name, f"{_short_path(file)}:{line}", used, used / self.used)

    def as_text(self) -> str:
        """Return the call tree."""
        return ConsoleRenderer().render(self._session())

    def as_html(self) -> str:
        """Return an HTML page with the call tree and a flame graph; it loads nothing from other hosts."""
        page: str = HTMLRenderer().render(self._session())
        return page

    def _session(self) -> Session:
        # Sorted, so that equal calls are adjacent, as in a flame graph.
        records = [(list(stack), used) for stack, used in sorted(self._stacks.items())]
        return Session(
            frame_records=records,
            start_time=time.time() - self._seconds,
            duration=self._seconds,
            min_interval=INTERVAL_SECONDS,
            max_interval=INTERVAL_SECONDS,
            sample_count=self._samples,
            start_call_stack=[""],
            target_description="All threads, by CPU time",
            cpu_time=self.used,
            sys_path=sys.path,
            sys_prefixes=Session.current_sys_prefixes(),
        )


def profile_cpu(seconds: float) -> CpuProfile:
    """Sample all other threads for this many seconds and return their CPU time by stack."""
    stacks: defaultdict[Stack, float] = defaultdict(float)
    before = dict(_thread_cpu_clocks())
    samples, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(INTERVAL_SECONDS)
        frames, after = sys._current_frames(), dict(_thread_cpu_clocks())  # noqa: SLF001 - documented for this purpose
        for thread, clock in after.items():
            used = clock - before.get(thread, clock)
            if used > 0 and thread in frames:
                stacks[_stack(frames[thread])] += used
        before, samples = after, samples + 1
    return CpuProfile(stacks, seconds, samples)


def _thread_cpu_clocks() -> Iterator[tuple[int, float]]:
    """Yield the id of each other thread and the CPU seconds it has used; skips threads whose clock is unavailable."""
    for thread in threading.enumerate():
        if thread.ident and thread is not threading.current_thread():
            # In a forked process, the native id of the main thread is still that of the parent's thread.
            native_id = os.getpid() if thread is threading.main_thread() else thread.native_id or 0
            try:
                # The clock id of a thread on Linux (include/linux/posix-timers.h). pthread_getcpuclockid() would read
                # the id from the thread's memory, which is invalid once the thread has ended; the kernel checks it.
                yield thread.ident, time.clock_gettime((~native_id << 3) | 6)
            except OSError:
                continue


def _stack(innermost: FrameType) -> Stack:
    functions = []
    frame: FrameType | None = innermost
    while frame:
        code = frame.f_code
        functions.append(f"{code.co_qualname}{SEPARATOR}{code.co_filename}{SEPARATOR}{code.co_firstlineno}")
        frame = frame.f_back
    return tuple(reversed(functions))


def profile_memory(seconds: float, count: int = TOP) -> list[Allocation]:
    """Return the lines that allocated the most memory within this many seconds and have not freed it."""
    if tracemalloc.is_tracing():  # started by other code, whose results this would change
        return []
    tracemalloc.start()
    try:
        time.sleep(seconds)
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    filtered = snapshot.filter_traces([tracemalloc.Filter(False, tracemalloc.__file__)])
    return [
        Allocation(f"{_short_path(line.traceback[0].filename)}:{line.traceback[0].lineno}", line.size, line.count)
        for line in filtered.statistics("lineno")[:count]
    ]


def _short_path(file: str) -> str:
    """Return a path relative to site-packages or to the service."""
    _, separator, package = file.rpartition("/site-packages/")
    return package if separator else file.removeprefix(f"{ROOT}/")
