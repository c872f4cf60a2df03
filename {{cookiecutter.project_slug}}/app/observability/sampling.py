"""Where a process spends its processor time, and what fills its memory, seen by looking at it now and then.

A thread looks a hundred times a second at what all the others are doing, and adds the processor time that each has
used since the last look to the stack it stands on: threads that wait weigh nothing. That needs no right to trace
processes, and costs nothing before and after.
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
ROOT = str(Path(__file__).resolve().parents[2])

Stack = tuple[str, ...]  # functions, the outermost first, each as pyinstrument writes them
SEPARATOR = "\x00"


@dataclass(frozen=True)
class Function:
    """A function, and the share of all processor time, and the seconds, that it used itself."""

    name: str
    place: str
    seconds: float
    share: float

    def __str__(self) -> str:
        return f"{self.share:6.1%} {self.seconds:9.2f} s  {self.name}  {self.place}"


@dataclass(frozen=True)
class Allocation:
    """A line of code, and the bytes and objects that it has made and that are still there."""

    place: str
    size: int
    count: int

    def __str__(self) -> str:
        return f"{self.size / 1024:11.1f} KiB {self.count:9d} objects  {self.place}"


class ProcessorProfile:
    """The processor time of all threads, by the stack that they stood on."""

    def __init__(self, stacks: Mapping[Stack, float], seconds: float, looks: int) -> None:
        self._stacks, self._seconds, self._looks = stacks, seconds, looks
        self.used = sum(stacks.values())  # seconds of processor time

    def top(self, count: int = TOP) -> list[Function]:
        """The functions that used most themselves, without what they called."""
        own: defaultdict[str, float] = defaultdict(float)
        for stack, used in self._stacks.items():
            own[stack[-1]] += used
        most = sorted(own, key=own.__getitem__, reverse=True)[:count]
        return [self._function(identifier, own[identifier]) for identifier in most]

    def _function(self, identifier: str, used: float) -> Function:
        name, file, line = identifier.split(SEPARATOR)
        return Function(name, f"{_shortened(file)}:{line}", used, used / self.used)

    def as_text(self) -> str:
        """The tree of calls."""
        return ConsoleRenderer().render(self._session())

    def as_html(self) -> str:
        """A page with the tree, and with a flame graph as its timeline; it loads nothing from other hosts."""
        page: str = HTMLRenderer().render(self._session())
        return page

    def _session(self) -> Session:
        # Sorted, so that what was called alike lies side by side, as in a flame graph.
        records = [(list(stack), used) for stack, used in sorted(self._stacks.items())]
        return Session(
            frame_records=records,
            start_time=time.time() - self._seconds,
            duration=self._seconds,
            min_interval=INTERVAL_SECONDS,
            max_interval=INTERVAL_SECONDS,
            sample_count=self._looks,
            start_call_stack=[""],
            target_description="All threads, by processor time",
            cpu_time=self.used,
            sys_path=sys.path,
            sys_prefixes=Session.current_sys_prefixes(),
        )


def profile_processor(seconds: float) -> ProcessorProfile:
    """Look at all other threads for so many seconds."""
    stacks: defaultdict[Stack, float] = defaultdict(float)
    before = dict(_clocks())
    looks, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(INTERVAL_SECONDS)
        frames, after = sys._current_frames(), dict(_clocks())  # noqa: SLF001 - documented, and meant for this
        for thread, clock in after.items():
            used = clock - before.get(thread, clock)
            if used > 0 and thread in frames:
                stacks[_stack(frames[thread])] += used
        before, looks = after, looks + 1
    return ProcessorProfile(stacks, seconds, looks)


def _clocks() -> Iterator[tuple[int, float]]:
    """The seconds of processor time that each other thread has used; nothing where the system does not tell."""
    for thread in threading.enumerate():
        if thread.ident and thread is not threading.current_thread():
            # In a forked process, the main thread still goes by the number that it had in the parent.
            number = os.getpid() if thread is threading.main_thread() else thread.native_id or 0
            try:
                # How Linux numbers the clocks of threads (include/linux/posix-timers.h). The C library would take the
                # number from the thread's own memory, which is gone if the thread ends meanwhile; the kernel checks.
                yield thread.ident, time.clock_gettime((~number << 3) | 6)
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
    """The lines that made most of what is new after so many seconds, and still there."""
    if tracemalloc.is_tracing():  # by somebody else, whose figures it would spoil
        return []
    tracemalloc.start()
    try:
        time.sleep(seconds)
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    without_itself = snapshot.filter_traces([tracemalloc.Filter(False, tracemalloc.__file__)])
    return [
        Allocation(f"{_shortened(line.traceback[0].filename)}:{line.traceback[0].lineno}", line.size, line.count)
        for line in without_itself.statistics("lineno")[:count]
    ]


def _shortened(file: str) -> str:
    """A file's name as far as it tells something."""
    _, found, package = file.rpartition("/site-packages/")
    return package if found else file.removeprefix(f"{ROOT}/")
