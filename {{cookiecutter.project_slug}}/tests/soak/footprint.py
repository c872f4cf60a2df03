"""Memory and open files of running processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process_reaper import process_tree

MAX_NEW_FILES = 10  # pools open another connection when more threads wait at once; a leak adds thousands


@dataclass(frozen=True)
class Footprint:
    """The resident memory and the open files of a process."""

    command: str
    kilobytes: int
    files: int


def footprint(pid: int) -> Footprint:
    """Return the footprint of a running process."""
    folder = Path("/proc", str(pid))
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return Footprint(command[:60], int(status["VmRSS"].split()[0]), len(list((folder / "fd").iterdir())))


def footprints(roots: Iterable[int]) -> Mapping[int, Footprint]:
    """Return the footprints of these processes and of all their children, by process id."""
    return {pid: footprint(pid) for root in roots for pid in process_tree(root)}


def growth(before: Mapping[int, Footprint], after: Mapping[int, Footprint], share: float) -> list[str]:
    """Return what grew: memory by more than `share`, or open files; also the processes that ended or started."""
    problems = [f"process {pid} ended: {before[pid].command}" for pid in before.keys() - after.keys()]
    problems += [f"process {pid} started: {after[pid].command}" for pid in after.keys() - before.keys()]
    for pid in before.keys() & after.keys():
        old, new = before[pid], after[pid]
        if new.kilobytes > old.kilobytes * (1 + share):
            problems.append(f"memory of {pid} grew from {old.kilobytes} to {new.kilobytes} kB: {old.command}")
        if new.files > old.files + MAX_NEW_FILES:
            problems.append(f"open files of {pid} grew from {old.files} to {new.files}: {old.command}")
    return sorted(problems)
