"""The typed state of one request: Flask's `g`, with every field declared."""

from __future__ import annotations

from contextvars import Token
from dataclasses import dataclass
from threading import Semaphore

from flask import Request, g, request
from flask.ctx import _AppCtxGlobals
from opentelemetry.context import Context
from opentelemetry.trace import Span
from prometheus_client import Gauge

from app.platform.web.caller import Caller


@dataclass(frozen=True)
class RateLimitResult:
    """Whether a request is within its limit, the remaining requests, and the seconds until another is allowed."""

    allowed: bool
    remaining: int
    reset: int
    limit: int = 0  # requests per period
    shared: bool = False  # counted in Redis


@dataclass(frozen=True)
class RequestMetrics:
    """The labels of a request (method and route rule), its gauge, and when it started (monotonic seconds)."""

    labels: tuple[str, str]
    in_progress: Gauge
    started_at: float


class RequestState(_AppCtxGlobals):
    """Flask's `g` of this service (`ServiceFlask.app_ctx_globals_class`); a class attribute is the default."""

    request_id: str = ""
    started_at: float = 0.0  # monotonic seconds
    metrics: RequestMetrics | None = None
    span: tuple[Span, Token[Context]] | None = None
    credentials: str | None = None  # the API key or the bearer token; empty if there is none
    credentials_read: bool = False
    unverified_caller: Caller | None = None  # the token is valid; its session may be revoked
    caller_verified: bool = False
    caller: Caller | None = None
    auth_error: str = ""  # why there is no caller
    session_lookup: tuple[int, bool] | None = None  # (session id, revoked), from the rate-limit script
    rate_limit: RateLimitResult | None = None
    concurrency_slot: Semaphore | None = None
    repeated: bool = False  # the database rolled the first attempt back


def request_state() -> RequestState:
    """Return the state itself: an attribute read through Flask's `g` proxy takes five times as long."""
    state: RequestState = g._get_current_object()  # noqa: SLF001 - documented by werkzeug
    return state


def current_request() -> Request:
    """Return the request itself: each attribute read through Flask's `request` proxy costs a microsecond."""
    current: Request = request._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - documented by Flask
    return current
