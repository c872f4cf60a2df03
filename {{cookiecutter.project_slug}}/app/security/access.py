"""Who may call a route. Every route says so in a decorator; one that says nothing is closed."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, g, request

from app.errors import Problem
from app.observability.logging import bind
from app.security import tokens
from app.settings import settings_of

View = TypeVar("View", bound=Callable[..., Any])


def public(reason: str) -> Callable[[View], View]:
    """Anybody may call this route, because of `reason`."""
    return lambda view: _mark(view, _anybody, reason)


def signed_in(view: View) -> View:
    """Only callers with a good access token may call this route; `caller()` tells which."""
    return _mark(view, _signed_in)


def operators_only(view: View) -> View:
    """Only callers with `METRICS_TOKEN` may call this route."""
    return _mark(view, _operator)


def operators_or_neighbours(view: View) -> View:
    """As `operators_only`; while no token is set, private addresses that came without a proxy may call too."""
    return _mark(view, _operator_or_neighbour)


def _mark(view: View, rule: Callable[[], None], reason: str = "") -> View:
    view.access = rule  # type: ignore[attr-defined]
    view.access_reason = reason  # type: ignore[attr-defined]
    return view


def init_app(app: Flask) -> None:
    """Hold every route to its rule."""
    app.before_request(_enforce)


def _enforce() -> None:
    if request.routing_exception is not None or request.method == "OPTIONS":
        return  # nothing is there to be guarded: the answer is a 404, a 405, or the list of methods
    rule = getattr(current_app.view_functions[request.endpoint or ""], "access", None)
    if rule is None:
        raise Problem(403, "This route does not say who may call it, so nobody may.")
    rule()


def caller() -> tokens.Caller:
    """Whoever signed this request; only for routes under `signed_in`."""
    found: tokens.Caller = g.caller
    return found


def known_caller() -> tokens.Caller | None:
    """Whoever signed this request, or None when nobody did or the token is no good."""
    if "caller" not in g:
        try:
            g.caller = tokens.verify(_bearer())
            bind(user_id=g.caller.user_id)
        except tokens.TokenError as error:
            g.caller, g.token_error = None, str(error)
    found: tokens.Caller | None = g.caller
    return found


def _bearer() -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def _anybody() -> None:
    pass


def _signed_in() -> None:
    if known_caller() is None:
        raise _unauthorized(g.token_error)


def _operator() -> None:
    expected = settings_of(current_app).METRICS_TOKEN
    if not expected:
        raise Problem(403, "Closed until METRICS_TOKEN is set.")
    if not hmac.compare_digest(_bearer().encode(), expected.encode()):
        raise _unauthorized("Send the operators' token: Authorization: Bearer <METRICS_TOKEN>.")


def _operator_or_neighbour() -> None:
    if settings_of(current_app).METRICS_TOKEN or not _is_neighbour():
        _operator()


def _is_neighbour() -> bool:
    """Whether the request came from a private address and through no proxy."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_private
    except ValueError:
        return request.remote_addr == ""  # a Unix socket has no address


def _unauthorized(message: str) -> Problem:
    return Problem(401, message, headers={"WWW-Authenticate": "Bearer"})
