"""Ends what a test process started once that process is gone, also after SIGKILL, when it can clean up nothing itself.

Runs as a script whose standard input is a pipe from the test process; end of file there means that process is gone.
The kernel's PR_SET_PDEATHSIG would do less: it fires when the *thread* that started the server ends, a frozen server's
children outlive it, temporary folders stay, and it needs ``preexec_fn``, which can deadlock beside threads.
The file imports nothing from this package, so that it starts in a few milliseconds.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A row of the process table; ``state`` is the letter that ``ps`` shows."""

    pid: int
    parent: int
    group: int
    state: str


def processes() -> list[Process]:
    """List what runs or is stopped; zombies are over and wait only to be collected."""
    rows = _from_proc() if Path("/proc/self/stat").exists() else _from_ps()
    return [row for row in rows if not row.state.startswith(("Z", "X"))]


def _from_proc() -> Iterable[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we were reading
            # The command's name stands in parentheses and may hold spaces and parentheses itself.
            rest = Path(folder, "stat").read_text(errors="replace").rpartition(")")[2].split()
            yield Process(int(folder.name), int(rest[1]), int(rest[2]), rest[0])


def _from_ps() -> Iterable[Process]:  # macOS
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True)
    for pid, parent, group, state in (line.split() for line in table.stdout.splitlines()):
        yield Process(int(pid), int(parent), int(group), state)


def family(pid: int) -> list[int]:
    """List the living among ``pid``, its descendants and the members of its process group; elders first."""
    table = processes()
    found = {row.pid: None for row in table if row.pid == pid}
    found |= {row.pid: None for row in table if row.group == pid}
    while younger := [row.pid for row in table if row.parent in found and row.pid not in found]:
        found |= dict.fromkeys(younger)
    return list(found)


def living(pids: Iterable[int]) -> set[int]:
    return {row.pid for row in processes()} & set(pids)


def send(signal_number: int, pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)


def end(pid: int, how: int, patience: float) -> None:
    """Send ``how`` to a process; ``patience`` seconds later SIGKILL to all of its family that is left."""
    members = family(pid)
    send(how, members[:1])
    send(signal.SIGCONT, members)  # a frozen process obeys nothing but SIGKILL
    deadline = time.monotonic() + patience
    while living(members) and time.monotonic() < deadline:
        time.sleep(0.01)
    while left := living([*members, *family(pid)]):
        send(signal.SIGKILL, left)
        time.sleep(0.01)


def main() -> None:
    watched: dict[str, int] = {}
    folders: set[str] = set()
    for line in sys.stdin:
        match line.rstrip("\n").split(" ", maxsplit=2):
            case "process", how, pid:
                watched[pid] = int(how)
            case "folder", _, path:
                folders.add(path)
            case "done", _, name:
                watched.pop(name, None)
                folders.discard(name)
    for pid, how in watched.items():
        end(int(pid), how, patience=3)
    for path in folders:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
