"""A client that sends requests of one user over one connection, and records unexpected responses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from tests.accounts.factory import PASSWORD
from tests.running.accounts import LOGIN, REGISTER

TIMEOUT_SECONDS = 60
BUSY = "busy"
# The service closes the connection after a body that it did not read, possibly while the next request is under way.
# A rejected request is not repeated: the client would sleep for as long as the header says.
RETRY = Retry(3, allowed_methods=None, backoff_factor=0.1, respect_retry_after_header=False)

_numbers = count(1)


@dataclass(frozen=True)
class Account:
    """A registered user with the access token of one session."""

    email: str
    headers: Mapping[str, str]


def connection() -> requests.Session:
    """Return a session that keeps its connection."""
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=RETRY))
    return session


@dataclass
class Client:
    """Sends requests to `url` as `account`.

    `unexpected` counts responses by their text; those of a busy machine (503) are counted as `BUSY`.
    """

    url: str
    account: Account
    unexpected: Counter[str]
    session: requests.Session = field(default_factory=connection)
    sent: int = 0

    def send(self, method: str, path: str, *statuses: int, **options: object) -> requests.Response:
        """Send one request; its status must be one of `statuses`."""
        options.setdefault("headers", self.account.headers)
        self.sent += 1
        response = self.session.request(method, self.url + path, timeout=TIMEOUT_SECONDS, **options)  # type: ignore[arg-type] # passed on
        if response.status_code == requests.codes.unavailable:
            self.unexpected[BUSY] += 1
        elif response.status_code not in statuses:
            self.unexpected[f"{method} {path}: {response.status_code} {response.text[:200]}"] += 1
        return response


Action = Callable[[Client], object]


def get(path: str, *statuses: int, **options: object) -> Action:
    """Return an action that reads `path`; expects 200 by default."""
    return lambda client: client.send("GET", path, *(statuses or (200,)), **options)


def post(path: str, body: object, *statuses: int, **options: object) -> Action:
    """Return an action that sends a JSON body."""
    return lambda client: client.send("POST", path, *statuses, json=body, **options)


def register(url: str) -> Account:
    """Register an account and log in."""
    body = {"email": f"soak{next(_numbers)}@example.org", "password": PASSWORD}
    requests.post(url + REGISTER, json=body, timeout=TIMEOUT_SECONDS).raise_for_status()
    login = requests.post(url + LOGIN, json=body, timeout=TIMEOUT_SECONDS)
    return Account(body["email"], {"Authorization": f"Bearer {login.json()['access_token']}"})
