"""Who may call a route. Every route says so in a decorator; one that says nothing is closed."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from flask import Flask, current_app, request

from app.errors import Problem
from app.framework import asked, kept
from app.neighbours import is_neighbour
from app.observability.logging import bind
from app.security import sessions, tokens
from app.settings import settings_of

View = TypeVar("View", bound=Callable[..., Any])
KeyCheck = Callable[[str], tokens.Caller]

# What an API key may be made for. A route that names none of them takes no API key.
SCOPES = ("profile:read", "locations:read", "locations:write", "files:read", "files:write")
KEY_PREFIX = "fsk_"  # so that a key is known for one wherever it turns up


def public(reason: str) -> Callable[[View], View]:
    """Anybody may call this route, because of `reason`."""
    return lambda view: _mark(view, _anybody, reason)


def signed_in(view: View) -> View:
    """Only people who are signed in may call this route; `caller()` tells who."""
    return _mark(view, _signed_in)


def signed_in_or_key(scope: str) -> Callable[[View], View]:
    """People who are signed in may call this route, and API keys with this scope."""

    def mark(view: View) -> View:
        view.scope = scope  # type: ignore[attr-defined]
        return _mark(view, _signed_in_or_key)

    return mark


def admins_only(view: View) -> View:
    """Only people who are signed in and have the role admin may call this route."""
    return _mark(view, _admin)


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
    app.before_request(partial(_enforce, app))


def register_key_check(app: Flask, check: KeyCheck) -> None:
    """Name whoever knows API keys; it raises `TokenError` for a bad one."""
    app.extensions["key_check"] = check


def _enforce(app: Flask) -> None:
    it = asked()
    if it.routing_exception is not None or it.method == "OPTIONS":
        return  # nothing is there to be guarded: the answer is a 404, a 405, or the list of methods
    rule = getattr(app.view_functions[it.endpoint or ""], "access", None)
    if rule is None:
        raise Problem(403, "This route does not say who may call it, so nobody may.")
    rule()


def caller() -> tokens.Caller:
    """Whoever makes this request; not for public routes."""
    found: tokens.Caller = kept().caller
    return found


def known_caller() -> tokens.Caller | None:
    """Whoever makes this request, or None when nobody says so, or the token is no good or its session has ended."""
    here = kept()
    if "caller" not in here:
        here.caller = claim = claimed_caller()
        if claim and claim.session_id is not None and sessions.has_ended(claim.session_id):
            here.caller, here.token_error = None, "This session has ended. Sign in again."
        elif claim:
            bind(user_id=claim.user_id)
    found: tokens.Caller | None = here.caller
    return found


def claimed_caller() -> tokens.Caller | None:
    """Whoever makes this request, if the session of the token still lives; `known_caller` tells whether it does."""
    here = kept()
    if "claim" not in here:
        try:
            here.claim = _identify(asked().environ.get("HTTP_X_API_KEY") or _bearer())
        except tokens.TokenError as error:
            here.claim, here.token_error = None, str(error)
    claim: tokens.Caller | None = here.claim
    return claim


def _identify(credentials: str) -> tokens.Caller:
    if not credentials:
        raise tokens.TokenError("Sign in first, and send the token: Authorization: Bearer <access_token>.")
    if credentials.startswith(KEY_PREFIX):
        check: KeyCheck = current_app.extensions["key_check"]
        return check(credentials)
    return tokens.verify(credentials)


def _bearer() -> str:
    scheme, _, credentials = asked().environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def _anybody() -> None:
    pass


def _identified() -> tokens.Caller:
    found = known_caller()
    if found is None:
        raise unauthorized(kept().token_error)
    return found


def _signed_in() -> None:
    if _identified().session_id is None:
        raise Problem(403, "API keys cannot do this: sign in.")


def _signed_in_or_key() -> None:
    found = _identified()
    scope = getattr(current_app.view_functions[request.endpoint or ""], "scope", "")
    if found.session_id is None and scope not in found.scopes:
        raise Problem(403, f"This API key lacks the scope {scope}.")


def _admin() -> None:
    _signed_in()
    if caller().role != "admin":
        raise Problem(403, "Only admins may do this.")


def _operator() -> None:
    expected = settings_of(current_app).METRICS_TOKEN
    if not expected:
        raise Problem(403, "Closed until METRICS_TOKEN is set.")
    if not hmac.compare_digest(_bearer().encode(), expected.encode()):
        raise unauthorized("Send the operators' token: Authorization: Bearer <METRICS_TOKEN>.")


def _operator_or_neighbour() -> None:
    if settings_of(current_app).METRICS_TOKEN or not is_neighbour():
        _operator()


def unauthorized(message: str) -> Problem:
    """What to answer somebody whose proof is no good."""
    return Problem(401, message, headers={"WWW-Authenticate": "Bearer"})
