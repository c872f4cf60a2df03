"""What is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

BATCH = 1000
THREADS = 8  # of a server: two processes of four
CONNECTIONS = 2 * THREADS  # so that no thread waits for work
ACTIVE_MINUTES = 60  # longer than a run takes, so that whoever is active at its start still is at its end
MANY = 5000

_numbers = count(20_000_000)  # millionths of a degree, east of everybody


def positions() -> list[dict[str, float | str]]:
    """Return a device's positions of the last minutes, one a second."""
    now = datetime.now(UTC).replace(microsecond=0)
    return [
        {
            "latitude": round(48.2 + number * 0.000731, 6),
            "longitude": round(16.3 + number * 0.000417, 6),
            "accuracy": 5 + number % 20 / 2,
            "recorded_at": (now - timedelta(seconds=BATCH - number)).isoformat(),
        }
        for number in range(BATCH)
    ]


@dataclass(frozen=True)
class Route:
    """A request, and what its answer must hold. A path with a place for a number is another one each time."""

    name: str
    method: str
    path: str
    status: int
    holds: str
    body: str = ""
    connections: int = CONNECTIONS

    def address(self) -> str:
        """Return the path to ask for next."""
        return self.path.format(next(_numbers) * 1e-6)

    def message(self, token: str) -> bytes:
        """Return the request as it goes over the wire."""
        lines = [f"{self.method} {self.address()} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"] if self.body else []
        return "\r\n".join([*lines, "", self.body]).encode()

    def messages(self, tokens: list[str]) -> list[bytes]:
        """Return it in the name of each user; where each is another one, more of them than a window takes."""
        return [self.message(token) for token in tokens * (MANY // len(tokens) if "{" in self.path else 1)]


HEALTH = Route("empty answer", "GET", "/health", 200, '"status"')
PROFILE = Route("profile read", "GET", "/api/v1/users/me", 200, '"email"')
PLACE = json.dumps({"latitude": 48.2082, "longitude": 16.3738, "accuracy": 12.5})
LOCATION = Route("location write", "POST", "/api/v1/locations", 201, "16.3738", PLACE)
BATCH_OF_LOCATIONS = Route(
    "batch of 1000",
    "POST",
    "/api/v1/locations/batch",
    201,
    '"accepted"',
    json.dumps({"locations": positions()}),
    THREADS,  # each is long enough to keep a thread at work
)
# All are in the box, whose eastern edge is another one each time, so that no answer is one that was kept from before.
ACTIVE_PATH = f"/api/v1/locations/active?minutes={ACTIVE_MINUTES}"
ACTIVE = Route("active users", "GET", f"{ACTIVE_PATH}&bbox=-180,-90,{{:.6f}},90", 200, '"latitude"')
ACTIVE_AGAIN = Route("active users, asked again and again", "GET", ACTIVE_PATH, 200, '"latitude"')

COMPARED = (PROFILE, LOCATION, BATCH_OF_LOCATIONS, HEALTH)
