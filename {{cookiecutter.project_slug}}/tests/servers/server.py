"""The base class of test servers: a port, a folder, start and stop."""

import contextlib
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from .cleanup import Account, at_exit, create_folder, remove_folder
from .processes import Child, ServerError, clean_environment, free_port, wait_until


class PortTakenError(ServerError):
    """Another process listens on the port."""


class Server:
    """A server on a free port of 127.0.0.1; `close` or the end of the tests removes it with its data.

    `stop` and `kill` keep folder and port, so clients find the server again after `restart`.
    """

    name: str
    stop_signal: int = signal.SIGTERM
    quick_signal: int = signal.SIGKILL
    start_timeout = 120.0  # seconds; a quiet machine needs 1 to 5

    def __init__(self, account: Account | None = None) -> None:
        self.port = 0
        self.account = account
        self.folder = create_folder(self.name, account)
        self._child: Child | None = None
        at_exit(self.close)

    def command(self) -> list[str]:
        """Return the command line of a server on `self.port`."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Return whether *this* server responds on the port."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        return self._running().pid

    def stop(self) -> None:
        """Shut down cleanly and close connections; does nothing if the server does not run."""
        self._end(self.stop_signal, timeout=60)

    def kill(self) -> None:
        """End all processes at once, like a power cut."""
        self._end(signal.SIGKILL, timeout=0)

    def pause(self) -> None:
        """Freeze the processes: the kernel accepts connections, but the server does not respond."""
        self._running().pause()

    def resume(self) -> None:
        """Continue after `pause`."""
        self._running().resume()

    def restart(self) -> None:
        """Stop if the server runs, then start on the same port and folder."""
        self.stop()
        self._start()

    def close(self) -> None:
        """End the server quickly and remove its folder."""
        self._end(self.quick_signal, timeout=20)
        remove_folder(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def start_on_a_free_port(self) -> Self:
        """Choose a free port and start; raises `ServerError` if the server does not become ready."""
        for _ in range(10):  # another process can take the port before the server listens on it
            self.port = free_port()
            with contextlib.suppress(PortTakenError):
                self._start()
                return self
        message = f"{self.name}: another process took each of ten free ports first"
        raise ServerError(message)

    def _start(self) -> None:
        log = Path(self.folder, "server.log")
        self._child = child = Child(
            self.command(),
            clean_environment(),
            log,
            folder=self.folder,
            account=self.account,
            quick_signal=self.quick_signal,
        )
        ready = wait_until(lambda: child.exit_code is not None or self.is_ready(), self.start_timeout)
        if child.exit_code is None and ready:
            return
        self._end(self.quick_signal, timeout=0)
        kind = PortTakenError if "ddress already in use" in child.output() else ServerError
        message = f"{self.name} does not serve on port {self.port}. Last output:\n{child.tail()}"
        raise kind(message)

    def _end(self, signal_number: int, timeout: float) -> None:
        if self._child:
            self._child.end(signal_number, timeout)
        self._child = None

    def _running(self) -> Child:
        if self._child is None:
            message = f"{self.name} on port {self.port} is stopped"
            raise ServerError(message)
        return self._child
