"""Child processes with their output in a file, and free ports."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import cleanup, process_reaper

# Below the ports of outgoing connections on Linux (32768…) and macOS (49152…): such a connection could take the port of
# a server during its restart.
_PORTS = range(20_000, 32_000)
MIN_PAUSE, MAX_PAUSE = 0.01, 0.5  # seconds between two polls
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")  # some Pythons do not start without the last


class ServerError(RuntimeError):
    """A server or service is missing, did not start or ended too early; the message has its last output."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now; another process may take it before the caller."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that a program needs, plus `extra`; nothing else of the developer's shell."""
    kept = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("SSL_")}
    return kept | dict(extra or {})


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Poll until `condition` is true; returns False after `timeout` seconds.

    A pause is a tenth of the time waited so far: frequent polls of a long wait take CPU time from what it waits for.
    """
    started = time.monotonic()
    while not (met := condition()) and (waited := time.monotonic() - started) < timeout:
        time.sleep(min(max(waited / 10, MIN_PAUSE), MAX_PAUSE))
    return met


class Child:
    """A program in its own process group. `quick_signal` ends it at once but cleanly."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        folder: Path | None = None,
        account: cleanup.Account | None = None,
        quick_signal: int = signal.SIGKILL,
    ) -> None:
        self.quick_signal, self.log = quick_signal, log
        self._ended = False
        with log.open("wb") as sink:
            self._popen = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C reaches only pytest, which then ends its children
                user=account.user if account else None,
                group=account.group if account else None,
                extra_groups=[] if account else None,
            )
        cleanup.register_process(self.pid, quick_signal)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while the program runs; negative: the signal that ended it."""
        return self._popen.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.output().splitlines()[-lines:]) or "(no output)"

    def send(self, signal_number: int) -> None:
        self._popen.send_signal(signal_number)

    def pause(self) -> None:
        # A process that is not stopped yet can start another one, so repeat until the tree does not change.
        stopped: list[int] = []
        while (members := process_reaper.process_tree(self.pid)) != stopped:
            process_reaper.send_signal(signal.SIGSTOP, members)
            stopped = members

    def resume(self) -> None:
        process_reaper.send_signal(signal.SIGCONT, process_reaper.process_tree(self.pid))

    def end(self, signal_number: int | None = None, timeout: float = 20) -> int:
        """Send the signal (default: `quick_signal`), after `timeout` seconds SIGKILL; returns the exit code."""
        if not self._ended:  # afterwards another process may have the same pid
            process_reaper.terminate(self.pid, self.quick_signal if signal_number is None else signal_number, timeout)
            self._ended = True
            cleanup.unregister_process(self.pid)
        return self._popen.wait()
