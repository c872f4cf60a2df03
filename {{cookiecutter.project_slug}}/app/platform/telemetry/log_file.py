"""A log file that several processes write and rotate."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

MODE = 0o640  # logs may contain what only the operators should read


class SharedRotatingFileHandler(logging.Handler):
    """Appends lines to a file, and keeps `backups` older files: `path.1` is the newest.

    The file is opened and locked again for every line, so that any number of threads and processes of one machine lose
    no line.
    The `RotatingFileHandler` of the standard library supports one process: the others keep writing to renamed files,
    and each of them rotates.
    """

    def __init__(self, path: str, max_bytes: int, backups: int) -> None:
        super().__init__()
        self._path, self._max_bytes, self._backups = Path(path).absolute(), max_bytes, backups

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line; rotate before a line that would exceed the maximum size."""
        try:
            line = f"{self.format(record)}\n".encode()
            while not self._append(line):
                pass  # the file was rotated
        except Exception:  # noqa: BLE001 - as every handler: a log that cannot be written must not fail a request
            self.handleError(record)

    def _append(self, line: bytes) -> bool:
        """Append a line; returns False if it does not fit, after the file was rotated."""
        with self._locked_file() as file:
            size = os.fstat(file).st_size
            if size and size + len(line) > self._max_bytes:
                self._rotate()
                return False
            while line:
                line = line[os.write(file, line) :]
            return True

    @contextmanager
    def _locked_file(self) -> Iterator[int]:
        """Yield the descriptor of the current file; while it is locked, no other process writes or rotates it."""
        while True:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_current(file):
                    yield file
                    return
            finally:
                os.close(file)  # also releases the lock

    def _is_current(self, file: int) -> bool:
        """Whether the path still leads to the file; another process may have renamed it before the lock."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        """Rename every file to the next number; the last one is replaced."""
        paths = [self._path, *(Path(f"{self._path}.{number}") for number in range(1, self._backups + 1))]
        for newer, older in reversed(list(pairwise(paths))):
            if newer.exists():
                newer.replace(older)
