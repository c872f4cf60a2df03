"""A closed loop of requests over kept-alive connections: each sends its next request when the last is answered.

One thread and one epoll, with the requests made beforehand, so that little of the machine goes into asking.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle

PATIENCE = 30.0  # seconds without any answer
MOST_RESENT = 100
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class NotAnsweredError(Exception):
    """A server refused a request, or gave no answer; the text tells the answer."""


@dataclass
class Traffic:
    """What came of a window of load, in seconds."""

    seconds: float = 0.0
    generator_cpu: float = 0.0
    resent: int = 0  # on connections that the server had closed
    latencies: list[float] = field(default_factory=list)


class Line:
    """A connection with one request under way."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)  # a whole batch leaves us at once

    def ask(self, message: bytes) -> None:
        """Send the next request."""
        self.message, self.answer, self.sent = message, b"", time.perf_counter()
        self.socket.sendall(message)

    def is_answered(self) -> bool:
        """Take what has come, and tell whether that is all; raises ConnectionError if the server hung up."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise ConnectionResetError
        self.answer += part
        end = self.answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = LENGTH.search(self.answer, 0, end + 2)
        whole = length is None or len(self.answer) >= end + 4 + int(length[1])
        if whole and (length is None or self.answer[9:10] != b"2"):
            raise NotAnsweredError(self.answer[:2000].decode(errors="replace"))
        return whole


class Lines:
    """All connections to a server, and what has come of them."""

    def __init__(self, port: int, messages: Sequence[bytes]) -> None:
        """Send nothing yet."""
        self.port, self.following = port, cycle(messages)
        self.traffic, self.poll = Traffic(), select.epoll()
        self.open: dict[int, Line] = {}

    def connect(self, message: bytes | None = None) -> None:
        """Ask for `message`, or for what is next, on a new connection."""
        line = Line(self.port)
        self.open[line.socket.fileno()] = line
        self.poll.register(line.socket.fileno(), select.EPOLLIN)
        line.ask(message or next(self.following))

    def disconnect(self, number: int) -> bytes:
        """Close a connection and return what was asked on it."""
        line = self.open.pop(number)
        line.socket.close()
        return line.message

    def close(self) -> None:
        """Hang up."""
        for number in list(self.open):
            self.disconnect(number)
        self.poll.close()

    def hear(self, number: int, end: float) -> None:
        """Take what has come on a connection, and ask for the next unless it is past the `end`."""
        line = self.open[number]
        try:
            if not line.is_answered():
                return
            now = time.perf_counter()
            self.traffic.latencies.append(now - line.sent)
            if now < end:
                line.ask(next(self.following))
            else:
                self.disconnect(number)
        except ConnectionError:
            self.traffic.resent += 1
            self.connect(self.disconnect(number))

    def hear_all(self, end: float) -> None:
        """Wait for something to come, and take it; raises NotAnsweredError if nothing does."""
        events = self.poll.poll(PATIENCE)
        if not events or self.traffic.resent > MOST_RESENT:
            message = f"No answer from port {self.port}, or it keeps no connection."
            raise NotAnsweredError(message)
        for number, _ in events:
            self.hear(number, end)


def drive(port: int, messages: Sequence[bytes], seconds: float, connections: int) -> Traffic:
    """Send `messages` in turn for so long, and wait for the last answers; raises NotAnsweredError."""
    cpu, start, opened = time.process_time(), time.perf_counter(), 0
    with closing(Lines(port, messages)) as lines:
        while lines.open or not opened:
            # One after the other: of connections that come in a burst, one process of the server may take all.
            if opened < connections:
                lines.connect()
                opened += 1
            lines.hear_all(start + seconds)
    lines.traffic.seconds, lines.traffic.generator_cpu = time.perf_counter() - start, time.process_time() - cpu
    return lines.traffic
