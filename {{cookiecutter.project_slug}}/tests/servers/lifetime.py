"""What must not outlive the test process: told to a keeper, which ends and removes it if we no longer can."""

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

from . import keeper

_lock = threading.Lock()


class Account(NamedTuple):
    """An account that root gives a process to."""

    name: str
    user: int
    group: int


def at_exit(action: Callable[[], object]) -> None:
    """Call ``action`` at the end of this process, but not of its forks, whose end must not stop its servers."""
    owner = os.getpid()
    atexit.register(lambda: action() if os.getpid() == owner else None)


def watch(pid: int, how: int) -> None:
    """Have ``pid`` sent the signal ``how``, and then its family SIGKILL, if this process disappears."""
    _tell(f"process {int(how)} {pid}")


def forget(pid: int) -> None:
    _tell(f"done 0 {pid}")


def make_folder(name: str, account: Account | None = None) -> Path:
    """Make a folder, private to ``account`` (default: to us), removed at the latest with this process."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_base(account)))
    _tell(f"folder 0 {folder}")
    at_exit(functools.partial(remove_folder, folder))
    if account:
        os.chown(folder, account.user, account.group)
    return folder


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _tell(f"done 0 {folder}")


def _base(account: Account | None) -> Path | None:
    # A socket's path has at most 103 bytes on macOS, and TMPDIR may be deep, or private as pytest's folders are.
    for base in (Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp")):
        reachable = account is None or all(part.stat().st_mode & 0o001 for part in (base, *base.parents))
        if reachable and len(os.fsencode(base)) <= 60:
            return base
    return None


def _tell(line: str) -> None:
    with _lock:
        os.write(_start_keeper(), f"{line}\n".encode())


@functools.cache
def _start_keeper() -> int:
    """Return the writing end of the keeper's standard input."""
    reading, writing = os.pipe()
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__],
        stdin=reading,
        stdout=subprocess.DEVNULL,  # an inherited one would keep whoever reads pytest's output waiting
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what ends a terminal or a process group must not end the keeper
        cwd="/",
    )
    os.close(reading)
    at_exit(functools.partial(_stop_keeper, watcher, writing))  # the first to be registered, so the last to run
    return writing


def _stop_keeper(watcher: subprocess.Popen[bytes], writing: int) -> None:
    os.close(writing)
    with contextlib.suppress(subprocess.TimeoutExpired):  # a fork of ours may still hold the pipe
        watcher.wait(timeout=5)
