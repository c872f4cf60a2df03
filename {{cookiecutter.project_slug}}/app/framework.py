"""Flask, without what this service has no use for and would pay for with every request."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from flask import Flask, Response, g, request
from flask.ctx import _AppCtxGlobals
from flask.json.provider import DefaultJSONProvider
from flask.sessions import SessionInterface
from flask.wrappers import Request
from werkzeug.routing import MapAdapter


class NoCookies(SessionInterface):
    """No session is kept in a cookie: callers show tokens. To look for one costs a request 40 µs."""

    def open_session(self, app: Flask, request: Request) -> None:
        """Nothing; Flask then makes a session that refuses to be written to."""
        del app, request


class Json(DefaultJSONProvider):
    """Answers as Flask's own provider makes them, in a tenth of the time for a list; letters stay what they are."""

    sort_keys = False

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Answer with the arguments as JSON."""
        told = self._prepare_response_obj(args, kwargs)
        try:
            content: bytes | str = orjson.dumps(told, self.default, orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError:  # half a surrogate pair or a number of over 64 bits, which JSON can spell
            content = f"{self.dumps(told)}\n"
        return Response(content, mimetype=self.mimetype)


class Service(Flask):
    """A Flask app with no cookies, and one host."""

    json_provider_class = Json
    session_interface = NoCookies()

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name, static_folder=None)
        # Which function is a coroutine is asked of each at every call: 30 µs a request, for an answer that stays.
        self.ensure_sync = cache(self.ensure_sync)  # type: ignore[method-assign]

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Match addresses as Flask does, but for subdomains and web sockets: to look for those costs a request 6 µs."""
        if request is None or self.config["TRUSTED_HOSTS"] is not None:
            return super().create_url_adapter(request)
        return self.url_map.bind(
            self.config["SERVER_NAME"] or request.host,
            request.root_path,
            url_scheme=request.scheme,
            default_method=request.method,
            path_info=request.path,
            query_args=request.query_string.decode(errors="replace"),
        )


def asked() -> Request:
    """The request itself, for what looks at it often: each look through Flask's `request` costs a microsecond."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Flask documents it
    return found


def kept() -> _AppCtxGlobals:
    """Flask's `g` itself, as `asked` is the request: each look through the proxy costs five times the look."""
    found: _AppCtxGlobals = g._get_current_object()  # noqa: SLF001
    return found
