"""The policy of a route: who may call it, its rate limit and its objective, declared by decorators on the view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.platform.web.problem_types import ProblemType

View = TypeVar("View", bound=Callable[..., Any])

ATTRIBUTE = "route_policy"  # functools.wraps copies it to the wrappers of a view


@dataclass(frozen=True)
class Access:
    """An access rule: `check` raises a `Problem` for a caller that it rejects."""

    name: str
    check: Callable[[], None]


@dataclass(frozen=True)
class Objective:
    """The service level objective of a route, over any 30 days.

    `latency`: seconds to the first byte for 95 % of requests. `errors`: the highest share of requests that may fail
    through a fault of the service (5xx except 503). `availability`: the lowest share of requests that must be served,
    that is, answered with anything but 5xx; 503 means that a dependency was unavailable.
    """

    latency: float
    errors: float = 0.01
    availability: float = 0.99


@dataclass(slots=True)
class RoutePolicy:
    """Everything that the decorators of one view declare. Without `access`, every call is rejected."""

    access: Access | None = None
    public_reason: str = ""
    allows_unverified: bool = False  # also users who have not confirmed their e-mail address
    scope: str = ""  # that an API key needs; empty: the route accepts no API keys
    recent_login: bool = False  # whether the caller must have proved the password recently
    rate_limit: str = ""  # the name of a RATELIMIT_ setting
    no_rate_limit_reason: str = ""
    target_limit: str = ""  # the name of a RATELIMIT_ setting: requests for one target, such as an account
    no_target_limit_reason: str = ""
    concurrency: str = ""  # the name of a CONCURRENCY_ setting
    statement_seconds: float | None = None  # that a statement may take
    objective: Objective | None = None
    no_objective_reason: str = ""
    has_etag: bool = False
    checks_if_match: bool = False
    accepts_idempotency_key: bool = False
    no_idempotency_key_reason: str = ""
    problem_types: tuple[ProblemType, ...] = ()  # that the view raises itself


def policy_of(view: Callable[..., Any]) -> RoutePolicy:
    """Return the policy of a view; creates an empty one at the first call."""
    attributes = vars(view)
    policy: RoutePolicy | None = attributes.get(ATTRIBUTE)
    if policy is None:
        policy = attributes[ATTRIBUTE] = RoutePolicy()
    return policy
