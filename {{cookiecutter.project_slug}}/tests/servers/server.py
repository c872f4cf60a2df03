"""What PostgreSQL and Redis have in common here: a port, a folder, a life between start and stop."""

import contextlib
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from .lifetime import Account, at_exit, make_folder, remove_folder
from .processes import Child, ServerError, clean_environment, free_port, wait_until


class PortTakenError(ServerError):
    """Another process listens on the port."""


class Server:
    """A server of its own on a free port of 127.0.0.1, gone with its data at ``close`` or at the end of the tests.

    ``stop`` and ``kill`` keep folder and port, so that ``restart`` comes back where clients expect it.
    """

    name: str
    gentle_signal: int = signal.SIGTERM
    quick_signal: int = signal.SIGKILL
    start_timeout = 30.0  # seconds; a loaded machine needs its time

    def __init__(self, account: Account | None = None) -> None:
        self.port = 0
        self.account = account
        self.folder = make_folder(self.name, account)
        self._child: Child | None = None
        at_exit(self.close)

    def command(self) -> list[str]:
        """Give the command line that serves on ``self.port``."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Say whether it is *this* server that answers on the port."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        return self._running().pid

    def stop(self) -> None:
        """Shut it down in good order, closing connections; nothing to do when it does not run."""
        self._end(self.gentle_signal, patience=15)

    def kill(self) -> None:
        """End all its processes in an instant, as a power cut would."""
        self._end(signal.SIGKILL, patience=0)

    def pause(self) -> None:
        """Freeze it: connections are accepted by the kernel, nobody answers."""
        self._running().pause()

    def resume(self) -> None:
        self._running().resume()

    def restart(self) -> None:
        """Start on the same port and folder, after stopping if it runs."""
        self.stop()
        self._start()

    def close(self) -> None:
        """End it quickly and remove its folder."""
        self._end(self.quick_signal, patience=5)
        remove_folder(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def start_on_a_free_port(self) -> Self:
        for _ in range(10):  # between finding a port and listening on it another process can take it
            self.port = free_port()
            with contextlib.suppress(PortTakenError):
                self._start()
                return self
        message = f"{self.name}: ten free ports were taken before it could listen on them"
        raise ServerError(message)

    def _start(self) -> None:
        log = Path(self.folder, "server.log")
        self._child = child = Child(
            self.command(), clean_environment(), log, folder=self.folder, account=self.account, quick=self.quick_signal
        )
        ready = wait_until(lambda: child.exit_code is not None or self.answers(), self.start_timeout)
        if child.exit_code is None and ready:
            return
        self._end(self.quick_signal, patience=0)
        kind = PortTakenError if "ddress already in use" in child.output() else ServerError
        message = f"{self.name} does not serve on port {self.port}. Its last words:\n{child.tail()}"
        raise kind(message)

    def _end(self, how: int, patience: float) -> None:
        if self._child:
            self._child.end(how, patience)
        self._child = None

    def _running(self) -> Child:
        if self._child is None:
            message = f"{self.name} on port {self.port} is stopped"
            raise ServerError(message)
        return self._child
