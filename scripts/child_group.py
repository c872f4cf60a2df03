"""Runs a command whose whole family of processes ends with the block that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

GRACE_SECONDS = 20
KILL_SECONDS = 3


def is_alive(group: int) -> bool:
    """Tell whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the group that `child` leads; tell whether it has ended in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        child.poll()  # a child that nobody asks about stays in its group as a zombie
        if not is_alive(child.pid):
            return True
        time.sleep(0.05)
    return False


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End every process of the group that `child` leads: asked first, then killed."""
    for sign, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        if wait_until_gone(child, seconds):
            return


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold a request to stop back until the block is through: one that came in Popen would leave a child unknown."""
    held: list[int] = []
    signs = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {sign: signal.signal(sign, lambda number, _: held.append(number)) for sign in signs}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
    for number in held:
        signal.raise_signal(number)


@contextmanager
def child_group(
    command: Sequence[str],
    output: IO[bytes],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in a process group of its own, out of Ctrl-C's reach, and end the group on leaving the block."""
    child: subprocess.Popen[bytes] | None = None
    try:
        with signals_held():
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        yield child
    finally:
        if child is not None:
            end_group(child)
