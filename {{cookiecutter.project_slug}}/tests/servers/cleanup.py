"""Processes and folders that must not outlive the test process; a reaper ends and removes them if it is killed."""

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import process_reaper

_lock = threading.Lock()


class Account(NamedTuple):
    """The account that a process runs as when root starts it."""

    name: str
    user: int
    group: int


def at_exit(action: Callable[[], object]) -> None:
    """Call `action` when this process ends, but not when a fork of it ends: forks must not stop its servers."""
    owner = os.getpid()
    atexit.register(lambda: action() if os.getpid() == owner else None)


def register_process(pid: int, signal_number: int) -> None:
    """Register a child; when the test process ends, the reaper sends this signal to it, then SIGKILL to its tree."""
    _send(f"process {int(signal_number)} {pid}")


def unregister_process(pid: int) -> None:
    """Undo `register_process`: the process has ended."""
    _send(f"done 0 {pid}")


def create_folder(name: str, account: Account | None = None) -> Path:
    """Create a temporary folder, private to `account` (default: the current one); it is removed with this process."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_base(account)))
    _send(f"folder 0 {folder}")
    at_exit(functools.partial(remove_folder, folder))
    if account:
        os.chown(folder, account.user, account.group)
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder with its content."""
    shutil.rmtree(folder, ignore_errors=True)
    _send(f"done 0 {folder}")


def _base(account: Account | None) -> Path | None:
    # The path of a socket has at most 103 bytes on macOS. TMPDIR may be longer, or private like pytest's folders.
    for base in (Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp")):
        reachable = account is None or all(part.stat().st_mode & 0o001 for part in (base, *base.parents))
        if reachable and len(os.fsencode(base)) <= 60:
            return base
    return None


def _send(line: str) -> None:
    with _lock:
        os.write(_start_reaper(), f"{line}\n".encode())


@functools.cache
def _start_reaper() -> int:
    """Start the reaper once; returns the writing end of its standard input."""
    reading, writing = os.pipe()
    reaper = subprocess.Popen(
        [sys.executable, "-I", "-S", process_reaper.__file__],
        stdin=reading,
        stdout=subprocess.DEVNULL,  # an inherited one would keep the pipe of pytest's output open
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a signal to the terminal or the process group must not end the reaper
        cwd="/",
    )
    os.close(reading)
    at_exit(functools.partial(_stop_reaper, reaper, writing))  # registered first, so it runs last
    return writing


def _stop_reaper(reaper: subprocess.Popen[bytes], writing: int) -> None:
    os.close(writing)
    with contextlib.suppress(subprocess.TimeoutExpired):  # a fork of this process may still hold the pipe
        reaper.wait(timeout=5)
