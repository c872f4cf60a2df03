"""Flask-Limiter for this service: limits from RATELIMIT_ settings, RateLimit headers, and 429 as a problem document."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, Response
from flask_limiter import Limiter
from limits import RateLimitItem, parse
from prometheus_client import Counter

from app.platform.api.rate_limits.storage import ADDRESS, SCHEMES, RateLimitStorage
from app.platform.components import platform_of
from app.platform.redis.client import redis_breaker_of, redis_of
from app.platform.security.access import (
    PUBLIC,
    authenticated_caller,
    counted_user_id,
    current_api_key,
    is_unknown_api_key,
    unverified_caller,
)
from app.platform.settings.declarations import rate_limit_settings, settings_of
from app.platform.web.problem_types import RATE_LIMITED, ProblemType
from app.platform.web.problems import Problem
from app.platform.web.request_state import RateLimitResult, current_request, request_state
from app.platform.web.route_policy import RoutePolicy, View, policy_of

DEFAULT = "RATELIMIT_DEFAULT"

REFUSED = Counter("rate_limit_refused_total", "Requests refused for their rate", ["limit"])


@dataclass(frozen=True)
class NamedLimit:
    """The limit of one setting; routes with the same setting share their count."""

    name: str
    item: RateLimitItem


class ServiceLimiter(Limiter):
    """Flask-Limiter with request hooks of this service.

    Flask-Limiter's own hooks parse the limits and look up blueprints, defaults and exemptions at every request. They
    add a third to the CPU time of a profile read (docs/performance.md of the template). `Limiter.init_app` registers
    none of them for a limiter that is already in `app.extensions["limiter"]`. That is not documented: pyproject.toml
    pins the version, and a test fails if it changes.
    """

    def __init__(self, app: Flask) -> None:
        settings = settings_of(app)
        self.limits = {name: _named_limit(name, value) for name, value in rate_limit_settings(app).items()}
        self._views = app.view_functions
        options: dict[str, Any] = {
            "redis": redis_of(app),
            "breaker": redis_breaker_of(app),
            "prefix": settings.SERVICE_NAME,
        }
        super().__init__(
            client_key,
            strategy="moving-window",
            storage_uri=f"{SCHEMES[0]}://",
            storage_options=options,
            enabled=settings.RATELIMIT_ENABLED,
        )

    def init_app(self, app: Flask) -> None:
        """Create the storage and register the hooks, unless rate limits are disabled."""
        if self.enabled:
            app.extensions["limiter"] = {self}
            app.before_request(self.check_request)
            app.after_request(add_headers)
        super().init_app(app)

    def limit_of(self, policy: RoutePolicy) -> NamedLimit | None:
        """Return the limit of a route, or None if it is exempt."""
        return None if policy.no_rate_limit_reason else self.limits[policy.rate_limit or DEFAULT]

    def decorator_of(self, policy: RoutePolicy) -> Callable[[View], object]:
        """Return the decorator of Flask-Limiter that registers the limit of a route, or its exemption."""
        limit = self.limit_of(policy)
        return self.shared_limit(str(limit.item), limit.name) if limit else self.exempt

    def check_request(self) -> None:
        """Count the request, and reject it if its limit is exceeded; a rejected request costs no database query."""
        request = current_request()
        if request.routing_exception is not None or request.method == "OPTIONS":
            return
        policy = policy_of(self._views[request.endpoint or ""])
        limit = self.limit_of(policy)
        if limit and not self._count(limit, policy):
            raise self._rejection(limit)

    def count(self, setting: str, key: str) -> bool:
        """Count something else than a request for this key; return False if the limit of the setting is exceeded."""
        if not self.enabled:
            return True
        state = request_state()
        of_the_route, limit = state.rate_limit, self.limits[setting]
        allowed = self.limiter.hit(limit.item, key, limit.name)
        if allowed:
            state.rate_limit = of_the_route
        return allowed

    def check_target(self, setting: str, target: str) -> None:
        """Count the request for its target as well; raises 429 if the limit of the setting is exceeded."""
        if not self.count(setting, f"target:{hashlib.sha256(target.encode()).hexdigest()}"):
            raise self._rejection(self.limits[setting])

    def _count(self, limit: NamedLimit, policy: RoutePolicy) -> bool:
        """Count the request for its user, or for its client address if there is no authenticated caller."""
        if policy.access is PUBLIC or (not policy.scope and current_api_key()):  # the view does not run for the key
            return self._hit(limit, address_key())
        if is_unknown_api_key():
            if wait := self._rate_limits.seconds_until_free(*_storage_arguments(limit)):
                request_state().rate_limit = RateLimitResult(False, 0, wait, limit.item.amount)
                return False
            unverified_caller()  # the only query: afterwards the owner of the key is known
        key = client_key()
        allowed = self._hit(limit, key)
        if key.startswith(ADDRESS) or not (allowed or _session_is_revoked()) or authenticated_caller():
            return allowed
        return self._hit(limit, address_key())  # the session or the API key is revoked

    def _hit(self, limit: NamedLimit, key: str) -> bool:
        return self.limiter.hit(limit.item, key, limit.name)

    @property
    def _rate_limits(self) -> RateLimitStorage:
        return cast(RateLimitStorage, self.storage)

    def _rejection(self, limit: NamedLimit) -> Problem:
        result = request_state().rate_limit
        item, wait = limit.item, result.reset if result else limit.item.get_expiry()
        message = f"Too many requests: {item.amount} in {item.get_expiry()} seconds are allowed. Try again in {wait} s."
        return rejection(limit.name, message, wait)


def rejection(name: str, message: str, wait: int, kind: ProblemType = RATE_LIMITED) -> Problem:
    """Return a problem that names the seconds to wait, and count it as a refusal of the limit with this name."""
    REFUSED.labels(name).inc()
    return Problem(kind, message, headers={"Retry-After": str(wait)})


def _session_is_revoked() -> bool:
    """Whether the script of the rate limit has not counted the request, because the session is revoked."""
    return request_state().rate_limit is None


def _storage_arguments(limit: NamedLimit) -> tuple[str, int, int]:
    """Return the key, the amount and the period of the client address, as the storage takes them."""
    return limit.item.key_for(address_key(), limit.name), limit.item.amount, limit.item.get_expiry()


def _named_limit(setting: str, value: object) -> NamedLimit:
    try:
        item = parse(str(value))
    except ValueError:
        raise ValueError(
            f"{setting} is {value!r}, which is no rate limit: declare it with rate_limit() in its settings class,"
            " or give it a name without RATELIMIT_."
        ) from None
    return NamedLimit(setting.removeprefix("RATELIMIT_").lower(), item)


def client_key() -> str:
    """Return the key that a request counts for: the user of valid credentials, else the client address."""
    user_id = counted_user_id()
    return address_key() if user_id is None else f"user:{user_id}"


def address_key() -> str:
    """Return the key that a request counts for if it has no user: the client address, and with it its networks."""
    return f"{ADDRESS}{current_request().remote_addr or ''}"


def rate_limit(setting: str) -> Callable[[View], View]:
    """Apply the limit of this RATELIMIT_ setting to a route."""

    def decorate(view: View) -> View:
        policy_of(view).rate_limit = setting
        return view

    return decorate


def no_rate_limit(reason: str) -> Callable[[View], View]:
    """Exempt a route from rate limits, for this reason."""

    def decorate(view: View) -> View:
        policy_of(view).no_rate_limit_reason = reason
        return view

    return decorate


def init_app(app: Flask) -> None:
    """Check the rate limit of every request before its view runs, and add the RateLimit headers."""
    limiter = ServiceLimiter(app)
    limiter.init_app(app)
    platform_of(app).add(limiter)


def limiter_of(app: Flask) -> ServiceLimiter:
    """Return the limiter of an app."""
    return platform_of(app).get(ServiceLimiter)


def register_limits(app: Flask) -> None:
    """Register the limits of all routes with Flask-Limiter, for its commands; call it after all registrations.

    Raises `LookupError` with every route whose limit is no setting.
    """
    limiter = limiter_of(app)
    if problems := list(_unknown_limits(app, limiter)):
        raise LookupError("\n".join(problems))
    for view in app.view_functions.values():
        # The returned wrapper is not used: it would count the request again.
        limiter.decorator_of(policy_of(view))(view)


def _unknown_limits(app: Flask, limiter: ServiceLimiter) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        policy = policy_of(app.view_functions[rule.endpoint])
        methods = ", ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        for decorator, name in (("rate_limit", policy.rate_limit), ("target_limit", policy.target_limit)):
            if name and name not in limiter.limits:
                yield (
                    f"{methods} {rule.rule}: {name} is no setting: declare it with rate_limit() in a settings class, or"
                    f" fix the name in @{decorator}."
                )


def add_headers(response: Response) -> Response:
    """Add the RateLimit headers to a response whose request was counted."""
    if result := request_state().rate_limit:
        response.headers["RateLimit-Limit"] = str(result.limit)
        response.headers["RateLimit-Remaining"] = str(result.remaining)
        response.headers["RateLimit-Reset"] = str(result.reset)
    return response
