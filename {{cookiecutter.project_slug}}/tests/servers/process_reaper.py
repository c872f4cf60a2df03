"""Ends the child processes of a test process that has ended, also after SIGKILL, and removes its temporary folders.

Runs as a script. Its standard input is a pipe from the test process; end of file means that the process has ended. The
kernel's PR_SET_PDEATHSIG does less: it fires when the *thread* that started the server ends, children of a frozen
server outlive it, temporary folders stay, and it needs `preexec_fn`, which can deadlock in a process with threads. This
file imports nothing from its package, so it starts in a few milliseconds.
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
    """A row of the process table; `state` is the letter that `ps` shows."""

    pid: int
    parent: int
    group: int
    state: str


def processes() -> list[Process]:
    """Return all processes that run or are stopped; zombies have ended."""
    rows = _from_proc() if Path("/proc/self/stat").exists() else _from_ps()
    return [row for row in rows if not row.state.startswith(("Z", "X"))]


def _from_proc() -> Iterable[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process ended during the read
            # The command name is in parentheses and may contain spaces and parentheses.
            rest = Path(folder, "stat").read_text(errors="replace").rpartition(")")[2].split()
            yield Process(int(folder.name), int(rest[1]), int(rest[2]), rest[0])


def _from_ps() -> Iterable[Process]:  # macOS
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True)
    for pid, parent, group, state in (line.split() for line in table.stdout.splitlines()):
        yield Process(int(pid), int(parent), int(group), state)


def process_tree(pid: int) -> list[int]:
    """Return `pid`, the members of its process group and all descendants that still run; parents first."""
    table = processes()
    found = {row.pid: None for row in table if row.pid == pid}
    found |= {row.pid: None for row in table if row.group == pid}
    while children := [row.pid for row in table if row.parent in found and row.pid not in found]:
        found |= dict.fromkeys(children)
    return list(found)


def still_running(pids: Iterable[int]) -> set[int]:
    """Return those of the processes that have not ended."""
    return {row.pid for row in processes()} & set(pids)


def send_signal(signal_number: int, pids: Iterable[int]) -> None:
    """Send a signal to each process that still exists."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)


def terminate(pid: int, signal_number: int, timeout: float) -> None:
    """Send a signal to a process; after `timeout` seconds, send SIGKILL to the rest of its process tree."""
    members = process_tree(pid)
    send_signal(signal_number, members[:1])
    send_signal(signal.SIGCONT, members)  # a stopped process handles no signal but SIGKILL
    started = time.monotonic()
    while still_running(members) and (waited := time.monotonic() - started) < timeout:
        time.sleep(max(waited / 10, 0.01))  # each poll reads the table of all processes
    while remaining := still_running([*members, *process_tree(pid)]):
        send_signal(signal.SIGKILL, remaining)
        time.sleep(0.01)


def main() -> None:
    """Read registrations until the test process has ended, then end and remove what is still registered."""
    watched: dict[str, int] = {}
    folders: set[str] = set()
    for line in sys.stdin:
        match line.rstrip("\n").split(" ", maxsplit=2):
            case "process", signal_number, pid:
                watched[pid] = int(signal_number)
            case "folder", _, path:
                folders.add(path)
            case "done", _, name:
                watched.pop(name, None)
                folders.discard(name)
    for pid, signal_number in watched.items():
        terminate(int(pid), signal_number, timeout=3)
    for path in folders:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
