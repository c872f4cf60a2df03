"""The authenticated user of a request."""

from __future__ import annotations

from dataclasses import dataclass

KEY_PREFIX = "fsk_"  # identifies an API key wherever it appears, for example in a log line


@dataclass(frozen=True)
class Caller:
    """The user that a token or an API key authenticates.

    A login has a session, and the time of its last authentication (Unix seconds); an API key has none and is limited to
    its scopes.
    """

    user_id: int
    role: str
    session_id: int | None = None
    scopes: frozenset[str] = frozenset()
    authenticated_at: int = 0
