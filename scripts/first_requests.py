"""Example requests to a new service, printed as shell commands with their responses.

The READMEs contain the same commands. One test compares them, another runs the commands of the service's README.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

RESPONSE_SECONDS = 30
POLL_SECONDS = 60
DIRECT_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # an HTTP proxy cannot reach 127.0.0.1
ACCOUNT = {"email": "ada@example.com", "password": "correct horse battery staple"}
LOCATION = {"latitude": 48.2082, "longitude": 16.3738, "accuracy": 12.5}
FILE_NAME = "readings.csv"
FILE_CONTENT = "city,celsius\nVienna,21.5\nOslo,12\nLima,\n"
BEARER = '-H "Authorization: Bearer $TOKEN"'
TEXT, NUMBER = r'"\([^"]*\)"', r"\([0-9]*\)"
JSON = "-H 'Content-Type: application/json'"


class RequestFailedError(Exception):
    """A request got no response or an error status; the message names the request and the reason."""


@dataclass(frozen=True)
class ExampleRequest:
    """One request to a path below /api/v1, with an optional JSON body or file upload.

    `save` stores a member of the response in a shell variable for later requests.
    """

    path: str
    body: dict[str, Any] | None = None
    upload: bool = False
    method: str = ""  # default: POST with a body or file, GET without
    authenticated: bool = True
    save: tuple[str, str, str] | None = None  # shell variable, JSON member, sed pattern of its value
    poll_until: str = ""  # regular expression; the request is repeated until the response matches

    def shell(self) -> str:
        """Return the curl command; sed extracts the saved member."""
        words = ["curl -s", *([f"-X {self.method}"] if self.method else []), f"$API{self.path}"]
        words += [BEARER] if self.authenticated else []
        words += [f"{JSON} -d '{json.dumps(self.body)}'"] if self.body is not None else []
        words += [f"-F file=@{FILE_NAME}"] if self.upload else []
        command = " ".join(words)
        if self.save:
            variable, member, value = self.save
            return f"""{variable}=$({command} | sed 's/.*"{member}":{value}.*/\\1/')"""
        return f"until {command} | grep -E '{self.poll_until}'; do sleep 1; done" if self.poll_until else command


FIRST_REQUESTS = [
    ExampleRequest("/auth/register", ACCOUNT, authenticated=False),
    ExampleRequest("/auth/login", ACCOUNT, authenticated=False, save=("TOKEN", "access_token", TEXT)),
    ExampleRequest("/locations", LOCATION),
    ExampleRequest("/locations"),
    ExampleRequest("/data-files", upload=True, save=("FILE", "id", NUMBER)),
    ExampleRequest("/data-files/$FILE/tests", method="POST", save=("RUN", "id", NUMBER)),
    ExampleRequest("/tests/$RUN", poll_until="passed|failed"),
    ExampleRequest("/users/me/data-export"),
]


def shell_commands(url: str) -> Iterator[str]:
    """Yield the shell commands that send all example requests to a service at `url`."""
    yield f"API={url}/api/v1"
    for request in FIRST_REQUESTS:
        if request.upload:
            yield f"printf '{FILE_CONTENT}' > {FILE_NAME}".replace("\n", "\\n")
        yield request.shell()


@dataclass
class ExampleClient:
    """Sends example requests to a service and keeps the saved variables."""

    url: str
    variables: dict[str, str] = field(default_factory=dict)

    def send(self, request: ExampleRequest) -> None:
        """Send a request and print the response; raise RequestFailedError unless the status is 2xx."""
        deadline = time.monotonic() + POLL_SECONDS
        while True:
            status, text = self._open(self._prepare(request))
            if status >= 300 or re.search(request.poll_until, text):  # noqa: PLR2004  # 2xx is success
                break
            if time.monotonic() > deadline:
                message = f"{request.path}: no response matched {request.poll_until} within {POLL_SECONDS} s"
                raise RequestFailedError(message)
            time.sleep(1)
        print(f"{status} {text.strip()}", flush=True)
        if status >= 300:  # noqa: PLR2004  # as above
            message = f"/api/v1{request.path} returned status {status}"
            raise RequestFailedError(message)
        if request.save:
            variable, member, _ = request.save
            self.variables[variable] = str(json.loads(text)[member])

    def _prepare(self, request: ExampleRequest) -> urllib.request.Request:
        path = re.sub(r"\$([A-Z]+)", lambda match: self.variables[match[1]], request.path)
        headers = {"Authorization": f"Bearer {self.variables['TOKEN']}"} if request.authenticated else {}
        body = None
        if request.body is not None:
            body, headers["Content-Type"] = json.dumps(request.body).encode(), "application/json"
        if request.upload:
            body, headers["Content-Type"] = multipart(FILE_NAME, FILE_CONTENT.encode())
        method = request.method or ("GET" if body is None else "POST")
        return urllib.request.Request(f"{self.url}/api/v1{path}", body, headers, method=method)  # noqa: S310  # a fixed http URL

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        """Return status and body of any response; raise RequestFailedError if there is none."""
        try:
            with DIRECT_OPENER.open(request, timeout=RESPONSE_SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            message = f"{request.full_url}: no response: {error}"
            raise RequestFailedError(message) from error


def multipart(name: str, content: bytes) -> tuple[bytes, str]:
    """Return a multipart body (RFC 7578) with one file in the field `file`, and its content type."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def send_first_requests(url: str) -> None:
    """Print each shell command, send its request and print the response."""
    client = ExampleClient(url)
    requests = iter(FIRST_REQUESTS)
    for command in shell_commands(url):
        print(f"\n$ {command}")
        if "curl" in command:
            client.send(next(requests))
