"""The authenticated user of a request."""

from __future__ import annotations

from dataclasses import dataclass

KEY_PREFIX = "fsk_"  # identifies an API key wherever it appears, for example in a log line


@dataclass(frozen=True)
class Caller:
    """The user that a token or an API key authenticates.

    A login has a session, and the time of its last authentication (Unix seconds); an API key has none and is limited to
    its scopes. `verified`: whether the user has confirmed the e-mail address; `mfa`: whether the sign-in of an admin
    needs a second factor (false for others).
    """

    user_id: int
    role: str
    session_id: int | None = None
    scopes: frozenset[str] = frozenset()
    verified: bool = True
    mfa: bool = False
    authenticated_at: int = 0
