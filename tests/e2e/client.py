"""An HTTP client for the service behind its proxy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from typing import Any

RESPONSE_SECONDS = 30


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    headers: HTTPMessage
    text: str

    def json(self) -> Any:  # noqa: ANN401  # JSON may be of any type
        """Parse the body as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Client:
    """Sends requests to 127.0.0.1:`port`, each over a new connection; `token` is the bearer token, if any."""

    port: int
    token: str = ""

    def with_token(self, token: str) -> Client:
        """Return a client that sends this bearer token."""
        return Client(self.port, token)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        """Send a GET request."""
        return self._request("GET", path, None, headers or {})

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Response:
        """Send a POST request with a JSON body."""
        return self._request(
            "POST", path, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
        )

    def post_headers_only(self, path: str, content_length: int) -> Response:
        """Send the headers of a POST request without its body: a proxy rejects a large Content-Length at once."""
        return self._request(
            "POST", path, b"", {"Content-Type": "application/json", "Content-Length": str(content_length)}
        )

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Response:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=RESPONSE_SECONDS)
        try:
            authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            connection.request(method, path, body, {**authorization, **headers})
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read().decode(errors="replace"))
        finally:
            connection.close()
