"""Child processes with their output in a file, and the ports they listen on."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import keeper, lifetime

# Below those that Linux (32768…) and macOS (49152…) give to outgoing connections, one of which could otherwise sit on a
# server's port while the server restarts.
_PORTS = range(20_000, 32_000)
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")  # without the last some Pythons do not start


class ServerError(RuntimeError):
    """A server or a service is missing, did not start or ended too early; the message holds its last words."""


def free_port() -> int:
    """Find a TCP port of 127.0.0.1 that nobody uses now; somebody else may take it before you do."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Build the environment a program needs to run, plus ``extra``; nothing else of the developer's shell."""
    kept = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("SSL_")}
    return kept | dict(extra or {})


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Say whether ``condition`` came true within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return met


class Child:
    """One running program in a process group of its own. ``quick`` is the signal to end it with at once but cleanly."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        folder: Path | None = None,
        account: lifetime.Account | None = None,
        quick: int = signal.SIGKILL,
    ) -> None:
        self.quick, self.log = quick, log
        self._over = False
        with log.open("wb") as sink:
            self._popen = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C is for pytest, which then ends its children in good order
                user=account.user if account else None,
                group=account.group if account else None,
                extra_groups=[] if account else None,
            )
        lifetime.watch(self.pid, quick)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the number of the signal that ended it."""
        return self._popen.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.output().splitlines()[-lines:]) or "(it printed nothing)"

    def send(self, signal_number: int) -> None:
        self._popen.send_signal(signal_number)

    def pause(self) -> None:
        # Until nobody new appears: one that is not stopped yet can still start another.
        stopped: list[int] = []
        while (members := keeper.family(self.pid)) != stopped:
            keeper.send(signal.SIGSTOP, members)
            stopped = members

    def resume(self) -> None:
        keeper.send(signal.SIGCONT, keeper.family(self.pid))

    def end(self, how: int | None = None, patience: float = 5) -> int:
        """Send ``how`` (or ``quick``), after ``patience`` seconds SIGKILL to those left; returns its exit code."""
        if not self._over:  # later its number may be another process's
            keeper.end(self.pid, self.quick if how is None else how, patience)
            self._over = True
            lifetime.forget(self.pid)
        return self._popen.wait()
