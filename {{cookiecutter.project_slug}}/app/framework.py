"""Flask, without what this service has no use for and would pay for with every request."""

from __future__ import annotations

from functools import cache

from flask import Flask, request
from flask.sessions import SessionInterface
from flask.wrappers import Request


class NoCookies(SessionInterface):
    """No session is kept in a cookie: callers show tokens. To look for one costs a request 40 µs."""

    def open_session(self, app: Flask, request: Request) -> None:
        """Nothing; Flask then makes a session that refuses to be written to."""
        del app, request


class Service(Flask):
    """A Flask app with no cookies."""

    session_interface = NoCookies()

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name, static_folder=None)
        # Which function is a coroutine is asked of each at every call: 30 µs a request, for an answer that stays.
        self.ensure_sync = cache(self.ensure_sync)  # type: ignore[method-assign]


def asked() -> Request:
    """The request itself, for what looks at it often: each look through Flask's `request` costs a microsecond."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Flask documents it
    return found
