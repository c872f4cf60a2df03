"""Run a command in its own process group and terminate the whole group afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

TERMINATE_SECONDS = 20
KILL_SECONDS = 3


def group_exists(group_id: int) -> bool:
    """Return whether the group still has a process, running or zombie."""
    try:
        os.killpg(group_id, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_group_exit(leader: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait until the group of `leader` is empty; return False after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        leader.poll()  # reaps the leader: a zombie counts as a member of its group
        if not group_exists(leader.pid):
            return True
        time.sleep(0.05)
    return False


def terminate_group(leader: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the group of `leader`, and SIGKILL if a process is left after TERMINATE_SECONDS."""
    for signal_number, seconds in ((signal.SIGTERM, TERMINATE_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        with suppress(ProcessLookupError):
            os.killpg(leader.pid, signal_number)
        if wait_for_group_exit(leader, seconds):
            return


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer SIGINT, SIGTERM and SIGHUP until the block ends.

    A signal inside Popen would lose the process object, and nothing could terminate the process.
    """
    received: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.signal(number, lambda caught, _: received.append(caught)) for number in signals}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for caught in received:
        signal.raise_signal(caught)


@contextmanager
def process_group(
    command: Sequence[str],
    output: IO[bytes],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in a new session and terminate its process group when the block ends.

    The terminal's Ctrl-C does not reach a new session: this program receives it and terminates the group.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with deferred_signals():
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            terminate_group(process)
