"""How long a statement of the current request may take."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

from flask import Flask

from app.platform.settings.declarations import settings_of
from app.platform.web.request_state import current_request
from app.platform.web.route_policy import View, policy_of

# Outside of requests there is no budget: the statement timeout of the database applies.
STATEMENT_SECONDS: ContextVar[float | None] = ContextVar("statement_seconds", default=None)


def statement_budget(seconds: float) -> Callable[[View], View]:
    """Set the seconds that a statement of a route may take; default: `DB_READ_TIMEOUT_MS` for GET, else no budget."""

    def decorate(view: View) -> View:
        policy_of(view).statement_seconds = seconds
        return view

    return decorate


def init_app(app: Flask) -> None:
    """Set the budget before every request."""
    settings = settings_of(app)
    app.before_request(
        partial(_set_budget, app, settings.DB_READ_TIMEOUT_MS / 1000, settings.DB_STATEMENT_TIMEOUT_MS / 1000)
    )
    app.teardown_request(_remove_budget)


def _set_budget(app: Flask, read_seconds: float, maximum: float) -> None:
    request = current_request()
    view = app.view_functions.get(request.endpoint or "")
    declared = policy_of(view).statement_seconds if view else None
    budget = declared or (read_seconds if request.method in ("GET", "HEAD") else None)
    STATEMENT_SECONDS.set(min(budget, maximum) if budget else None)


def _remove_budget(_error: BaseException | None) -> None:
    STATEMENT_SECONDS.set(None)
