"""A program of the service, running as it does in production: Gunicorn, a Celery worker, ``entrypoint.sh``."""

import json
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import keeper
from .lifetime import at_exit, make_folder, remove_folder
from .processes import Child, ServerError, clean_environment, wait_until


class RunningService:
    """A command, started at once with ``environment`` and as little as possible from the developer's shell.

    Leaving the ``with`` block ends it and everything it started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, folder: Path | None = None) -> None:
        self._command = " ".join(map(str, command))
        self._folder = make_folder("service")
        self._child = Child(command, clean_environment(environment), self._folder / "output", folder=folder)
        at_exit(self.close)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the number of the signal that ended it."""
        return self._child.exit_code

    def output(self) -> str:
        """Return what it wrote to standard output and standard error until now."""
        return self._child.output()

    def lines(self) -> list[dict[str, Any]]:
        """Return those lines of the output that are JSON objects."""
        return [entry for line in self.output().splitlines() if (entry := _parsed(line)) is not None]

    def children(self) -> list[int]:
        """List the living processes that it started itself: Gunicorn's workers, Celery's pool."""
        return [row.pid for row in keeper.processes() if row.parent == self.pid]

    def wait_until_listening(self, port: int, timeout: float = 30) -> None:
        """Return when 127.0.0.1:``port`` accepts connections."""
        self._wait(lambda: _listens(port), timeout, f"did not listen on port {port}")

    def wait_until_printed(self, text: str, timeout: float = 30) -> None:
        """Return when the output holds ``text``: for those that do not listen, like a worker."""
        self._wait(lambda: text in self.output(), timeout, f"did not print {text!r}")

    def wait(self, timeout: float = 30) -> int:
        """Return its exit code, once it has ended by itself."""
        wait_until(lambda: self.exit_code is not None, timeout)
        if (code := self.exit_code) is None:
            raise TimeoutError(self._complaint(f"did not end in {timeout} s"))
        return code

    def send(self, signal_number: int) -> None:
        """Signal the started process alone, as an orchestrator sends it."""
        self._child.send(signal_number)

    def stop(self, signal_number: int = signal.SIGTERM, timeout: float = 60) -> int:
        """Send ``signal_number`` and wait; returns its exit code.

        A task process that has just ended a task may take 30 s to leave: it waits for Celery's main process to read its
        last answer, which that no longer does (billiard's ``GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT``).
        """
        self.send(signal_number)
        return self.wait(timeout)

    def close(self) -> None:
        """End it at once, with all it started, and drop its output."""
        self._child.end(signal.SIGKILL, patience=0)
        remove_folder(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _wait(self, condition: Callable[[], bool], timeout: float, failure: str) -> None:
        # Asked in this order, for the last words of a program that ended count too.
        met = wait_until(lambda: self.exit_code is not None or condition(), timeout)
        if not condition():
            problem = f"ended with {self.exit_code}" if met else f"{failure} in {timeout} s"
            raise (ServerError if met else TimeoutError)(self._complaint(problem))

    def _complaint(self, problem: str) -> str:
        return f"{self._command}: {problem}. Its last words:\n{self._child.tail()}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
