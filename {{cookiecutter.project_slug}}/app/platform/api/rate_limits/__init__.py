"""Rate limits per user, or per client address for requests without an authenticated user.

`limiter` sets up Flask-Limiter, `storage` is its storage, `windows` counts in Redis or in the process, `targets` limits
requests for one account or token. docs/security.md describes each limit and its reason.
`flask limiter limits` lists every route with its limit.
"""

from app.platform.api.rate_limits.limiter import (
    init_app,
    limiter_of,
    no_rate_limit,
    rate_limit,
    register_limits,
    rejection,
)
from app.platform.api.rate_limits.targets import no_target_limit, target_limit

__all__ = [
    "init_app",
    "limiter_of",
    "no_rate_limit",
    "no_target_limit",
    "rate_limit",
    "register_limits",
    "rejection",
    "target_limit",
]
