"""A program of the service that runs as in production: Gunicorn, a Celery worker, `entrypoint.sh`."""

import json
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import process_reaper
from .cleanup import at_exit, create_folder, remove_folder
from .processes import Child, ServerError, clean_environment, wait_until


class RunningService:
    """A command that starts at once with `environment` and the least possible of the developer's shell.

    The end of the `with` block ends it and every process it started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, folder: Path | None = None) -> None:
        self._command = " ".join(map(str, command))
        self._folder = create_folder("service")
        self._child = Child(command, clean_environment(environment), self._folder / "output", folder=folder)
        at_exit(self.close)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while the program runs; negative: the signal that ended it."""
        return self._child.exit_code

    def output(self) -> str:
        """Return the standard output and standard error so far."""
        return self._child.output()

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the output that are JSON objects."""
        return [entry for line in self.output().splitlines() if (entry := _parsed(line)) is not None]

    def children(self) -> list[int]:
        """Return the running direct children: Gunicorn's workers, Celery's pool."""
        return [row.pid for row in process_reaper.processes() if row.parent == self.pid]

    def wait_until_listening(self, port: int, timeout: float = 120) -> None:
        """Wait until 127.0.0.1:`port` accepts connections."""
        self._wait(lambda: _listens(port), timeout, f"did not listen on port {port}")

    def wait_until_printed(self, text: str, timeout: float = 120) -> None:
        """Wait until the output contains `text`."""
        self._wait(lambda: text in self.output(), timeout, f"did not print {text!r}")

    def wait(self, timeout: float = 120) -> int:
        """Wait for the end of the program; returns its exit code."""
        wait_until(lambda: self.exit_code is not None, timeout)
        if (code := self.exit_code) is None:
            raise TimeoutError(self._message(f"did not end in {timeout} s"))
        return code

    def send(self, signal_number: int) -> None:
        """Send a signal to the started process only, as an orchestrator does."""
        self._child.send(signal_number)

    def stop(self, signal_number: int = signal.SIGTERM, timeout: float = 120) -> int:
        """Send `signal_number` and wait; returns its exit code.

        A Celery pool process that has just finished a task may need 30 s: it waits for the main process to read its
        last result, which the main process no longer does (billiard's `GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT`).
        """
        self.send(signal_number)
        return self.wait(timeout)

    def close(self) -> None:
        """End the program and every process it started, and remove its output."""
        self._child.end(signal.SIGKILL, timeout=0)
        remove_folder(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _wait(self, condition: Callable[[], bool], timeout: float, failure: str) -> None:
        # Check the exit code first: the output of a program that ended counts too.
        met = wait_until(lambda: self.exit_code is not None or condition(), timeout)
        if not condition():
            problem = f"ended with {self.exit_code}" if met else f"{failure} in {timeout} s"
            raise (ServerError if met else TimeoutError)(self._message(problem))

    def _message(self, problem: str) -> str:
        return f"{self._command}: {problem}. Last output:\n{self._child.tail()}"


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
