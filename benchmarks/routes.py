"""Requests that the benchmark sends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

BATCH_SIZE = 1000
THREADS = 8  # of a server: two processes of four
CONNECTIONS = 2 * THREADS  # keeps every thread busy
ACTIVE_MINUTES = 60  # longer than a run, so users who are active at its start still are at its end
UNIQUE_REQUESTS = 5000  # more than a measurement sends

_longitudes = count(20_000_000)  # millionths of a degree, east of all locations


def sample_locations() -> list[dict[str, float | str]]:
    """Return a batch of a device's latest locations, one per second."""
    now = datetime.now(UTC).replace(microsecond=0)
    return [
        {
            "latitude": round(48.2 + number * 0.000731, 6),
            "longitude": round(16.3 + number * 0.000417, 6),
            "accuracy": 5 + number % 20 / 2,
            "recorded_at": (now - timedelta(seconds=BATCH_SIZE - number)).isoformat(),
        }
        for number in range(BATCH_SIZE)
    ]


@dataclass(frozen=True)
class Route:
    """A request and its expected response. A path with a format placeholder is different in each request."""

    name: str
    method: str
    path: str
    status: int
    expected_text: str
    body: str = ""
    connections: int = CONNECTIONS

    def next_path(self) -> str:
        """Return the path of the next request."""
        return self.path.format(next(_longitudes) * 1e-6)

    def raw_request(self, token: str) -> bytes:
        """Return the bytes of an HTTP request."""
        lines = [f"{self.method} {self.next_path()} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"] if self.body else []
        return "\r\n".join([*lines, "", self.body]).encode()

    def raw_requests(self, tokens: list[str]) -> list[bytes]:
        """Return one request per user, or about 5000 where each request has a different path."""
        repeats = UNIQUE_REQUESTS // len(tokens) if "{" in self.path else 1
        return [self.raw_request(token) for token in tokens * repeats]


HEALTH_CHECK = Route("health check", "GET", "/health", 200, '"status"')
PROFILE_READ = Route("profile read", "GET", "/api/v1/users/me", 200, '"email"')
LOCATION_BODY = json.dumps({"latitude": 48.2082, "longitude": 16.3738, "accuracy": 12.5})
LOCATION_WRITE = Route("location write", "POST", "/api/v1/locations", 201, "16.3738", LOCATION_BODY)
LOCATION_BATCH = Route(
    "batch of 1000",
    "POST",
    "/api/v1/locations/batch",
    201,
    '"accepted"',
    json.dumps({"locations": sample_locations()}),
    THREADS,  # one request is long enough to keep a thread busy
)
# The box contains all locations. Its eastern edge differs in each request, so no response comes from the cache.
ACTIVE_USERS_PATH = f"/api/v1/locations/active?minutes={ACTIVE_MINUTES}"
ACTIVE_USERS = Route("active users", "GET", f"{ACTIVE_USERS_PATH}&bbox=-180,-90,{{:.6f}},90", 200, '"latitude"')
CACHED_ACTIVE_USERS = Route("active users, cached", "GET", ACTIVE_USERS_PATH, 200, '"latitude"')

COMPARED_ROUTES = (PROFILE_READ, LOCATION_WRITE, LOCATION_BATCH, HEALTH_CHECK)
