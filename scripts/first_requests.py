"""The first conversation with a new service, shown as the shell commands that a person would type and what came back.

The README shows the same commands, word for word; a test compares them, and another runs the README's in a shell.
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

ANSWER_SECONDS = 30
RUN_SECONDS = 60
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the machine cannot reach it
ACCOUNT = {"email": "ada@example.com", "password": "correct horse battery staple"}
PLACE = {"latitude": 48.2082, "longitude": 16.3738, "accuracy": 12.5}
FILE_NAME = "readings.csv"
FILE = "city,celsius\nVienna,21.5\nOslo,12\nLima,\n"
BEARER = '-H "Authorization: Bearer $TOKEN"'
TEXT, NUMBER = r'"\([^"]*\)"', r"\([0-9]*\)"
JSON = "-H 'Content-Type: application/json'"


class NotAnsweredError(Exception):
    """The service did not answer, or not with success; the text says which request and how."""


@dataclass(frozen=True)
class Step:
    """One request: to a path below the API, with a JSON body, or a file, or a method of its own.

    What the answer holds behind `keep` becomes the shell variable of that name.
    """

    path: str
    body: dict[str, Any] | None = None
    upload: bool = False
    method: str = ""
    signed: bool = True
    keep: tuple[str, str, str] | None = None  # variable, member of the answer, what its value looks like to sed
    until: str = ""  # a regular expression; asked again until the answer holds it

    def shell(self) -> str:
        """Return the command that does it; what is kept is cut out of the answer with sed."""
        words = ["curl -s", *([f"-X {self.method}"] if self.method else []), f"$API{self.path}"]
        words += [BEARER] if self.signed else []
        words += [f"{JSON} -d '{json.dumps(self.body)}'"] if self.body is not None else []
        words += [f"-F file=@{FILE_NAME}"] if self.upload else []
        command = " ".join(words)
        if self.keep:
            variable, member, value = self.keep
            return f"""{variable}=$({command} | sed 's/.*"{member}":{value}.*/\\1/')"""
        return f"until {command} | grep -E '{self.until}'; do sleep 1; done" if self.until else command


CONVERSATION = [
    Step("/auth/register", ACCOUNT, signed=False),
    Step("/auth/login", ACCOUNT, signed=False, keep=("TOKEN", "access_token", TEXT)),
    Step("/locations", PLACE),
    Step("/locations"),
    Step("/data-files", upload=True, keep=("FILE", "id", NUMBER)),
    Step("/data-files/$FILE/tests", method="POST", keep=("RUN", "id", NUMBER)),
    Step("/tests/$RUN", until="passed|failed"),
    Step("/users/me/data-export"),
]


def shell_lines(address: str) -> Iterator[str]:
    """Yield the commands of the whole conversation with a service at `address`."""
    yield f"API={address}/api/v1"
    for step in CONVERSATION:
        if step.upload:
            yield f"printf '{FILE}' > {FILE_NAME}".replace("\n", "\\n")
        yield step.shell()


@dataclass
class Conversation:
    """The steps, done one after the other, and the variables kept on the way."""

    address: str
    variables: dict[str, str] = field(default_factory=dict)

    def do(self, step: Step) -> dict[str, Any]:
        """Send a step's request and return the answer's JSON; raise NotAnsweredError unless it is a success."""
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            status, text = self._answer(self._prepared(step))
            if status >= 300 or re.search(step.until, text):  # noqa: PLR2004  # the 2xx are the good ones
                break
            if time.monotonic() > deadline:
                message = f"{step.path} did not say {step.until} within {RUN_SECONDS} s"
                raise NotAnsweredError(message)
            time.sleep(1)
        print(f"{status} {text.strip()}", flush=True)
        if status >= 300:  # noqa: PLR2004  # as above
            message = f"/api/v1{step.path} was answered with status {status}"
            raise NotAnsweredError(message)
        answer: dict[str, Any] = json.loads(text)
        if step.keep:
            variable, member, _ = step.keep
            self.variables[variable] = str(answer[member])
        return answer

    def _prepared(self, step: Step) -> urllib.request.Request:
        path = re.sub(r"\$([A-Z]+)", lambda found: self.variables[found[1]], step.path)
        headers = {"Authorization": f"Bearer {self.variables['TOKEN']}"} if step.signed else {}
        body = None
        if step.body is not None:
            body, headers["Content-Type"] = json.dumps(step.body).encode(), "application/json"
        if step.upload:
            body, headers["Content-Type"] = multipart(FILE_NAME, FILE.encode())
        method = step.method or ("GET" if body is None else "POST")
        return urllib.request.Request(f"{self.address}/api/v1{path}", body, headers, method=method)  # noqa: S310  # the address is our own

    def _answer(self, request: urllib.request.Request) -> tuple[int, str]:
        """Return status and body, whatever the status; raise NotAnsweredError if nothing came back."""
        try:
            with LOOPBACK.open(request, timeout=ANSWER_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as problem:
            return problem.code, problem.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            message = f"{request.full_url} was not answered: {error}"
            raise NotAnsweredError(message) from error


def multipart(name: str, content: bytes) -> tuple[bytes, str]:
    """Return a form with one file as its field `file` (RFC 7578), and its content type."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def show_first_requests(address: str) -> None:
    """Make an account, save a position, upload a file and have it tested, and export it all."""
    conversation = Conversation(address)
    steps = iter(CONVERSATION)
    for line in shell_lines(address):
        print(f"\n$ {line}")
        if "curl" in line:
            conversation.do(next(steps))
