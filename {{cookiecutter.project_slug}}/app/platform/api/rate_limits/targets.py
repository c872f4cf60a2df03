"""Limits of public routes per target: many clients together cannot exceed them for one account or token."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from flask import current_app

from app.platform.api.rate_limits.limiter import limiter_of
from app.platform.web.route_policy import View, policy_of


def target_limit(setting: str, field: str) -> Callable[[View], View]:
    """Also count requests by the value of this field of the body, over all clients.

    Put it directly above the view, below `arguments`. Redis stores a hash of the value.
    """

    def decorate(view: View) -> View:
        policy_of(view).target_limit = setting

        @wraps(view)
        def wrapper(data: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            limiter_of(current_app).check_target(setting, data[field])
            return view(data, *args, **kwargs)

        return cast(View, wrapper)

    return decorate


def no_target_limit(reason: str) -> Callable[[View], View]:
    """Declare that a public route counts only the client address, for this reason."""

    def decorate(view: View) -> View:
        policy_of(view).no_target_limit_reason = reason
        return view

    return decorate
