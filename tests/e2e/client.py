"""Requests to the service, through its proxy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from typing import Any

ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPMessage
    text: str

    def json(self) -> Any:  # noqa: ANN401 - that is what JSON is
        """Return the body, read as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Client:
    """Asks 127.0.0.1:`port`, over a new connection each time; `token` signs every request."""

    port: int
    token: str = ""

    def with_token(self, token: str) -> Client:
        """Return a client that is signed in."""
        return Client(self.port, token)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a path."""
        return self._ask("GET", path, None, headers or {})

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Send `body` as JSON."""
        return self._ask(
            "POST", path, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
        )

    def announce(self, path: str, length: int) -> Answer:
        """Announce a body of so many bytes, and send none: a proxy refuses one that is too large at once."""
        return self._ask("POST", path, b"", {"Content-Type": "application/json", "Content-Length": str(length)})

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            signed = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            connection.request(method, path, body, {**signed, **headers})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode(errors="replace"))
        finally:
            connection.close()
