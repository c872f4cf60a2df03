"""The first requests to a new service, shown as the curl that a person would type and what came back."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 30
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the machine cannot reach it
ACCOUNT = {"email": "ada@example.com", "password": "correct horse battery staple"}
PLACE = {"latitude": 48.2082, "longitude": 16.3738, "accuracy": 12.5}


class NotAnsweredError(Exception):
    """The service did not answer, or not with success; the text says which request and how."""


@dataclass(frozen=True)
class Request:
    """One request to a service at `address`; `body` makes it a POST, `token` is the bearer's."""

    address: str
    path: str
    body: dict[str, Any] | None = None
    token: str = ""

    def as_curl(self) -> str:
        """Return the command that asks the same; the token is in a shell variable, as nobody types one."""
        words = ["curl"]
        if self.token:
            words.append('-H "Authorization: Bearer $TOKEN"')
        if self.body is not None:
            words.append(f"-H 'Content-Type: application/json' -d '{json.dumps(self.body)}'")
        return " ".join([*words, f"{self.address}{self.path}"])

    def prepared(self) -> urllib.request.Request:
        """Return it in the form that urllib sends."""
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        body = None if self.body is None else json.dumps(self.body).encode()
        return urllib.request.Request(self.address + self.path, body, headers)  # noqa: S310  # the address is our own

    def answer(self) -> tuple[int, str]:
        """Send it and return status and body, whatever the status; raise NotAnsweredError if nothing came back."""
        try:
            with LOOPBACK.open(self.prepared(), timeout=ANSWER_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as problem:
            return problem.code, problem.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            message = f"{self.as_curl()} was not answered: {error}"
            raise NotAnsweredError(message) from error


def show(request: Request) -> dict[str, Any]:
    """Print the request and its answer, and return the answer's JSON; raise NotAnsweredError unless it is a success."""
    print(f"\n$ {request.as_curl()}")
    status, body = request.answer()
    print(f"{status} {body.strip()}", flush=True)
    if status >= 300:  # noqa: PLR2004  # the 2xx are the good ones
        message = f"{request.path} was answered with status {status}"
        raise NotAnsweredError(message)
    answer: dict[str, Any] = json.loads(body)
    return answer


def show_first_requests(address: str) -> None:
    """Ask for readiness, make an account, save a position and read it back."""
    show(Request(address, "/ready"))
    show(Request(address, "/api/v1/auth/register", ACCOUNT))
    token = show(Request(address, "/api/v1/auth/login", ACCOUNT))["access_token"]
    print(f"$ TOKEN={token}")
    show(Request(address, "/api/v1/locations", PLACE, token))
    history = show(Request(address, "/api/v1/locations", token=token))
    if not history["items"]:
        message = "the saved position was not listed"
        raise NotAnsweredError(message)
