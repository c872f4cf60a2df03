"""What every answer carries, and which names and senders are believed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import host_is_trusted

from app.errors import Problem
from app.settings import settings_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Values of the OWASP Secure Headers Project. An answer that sets one of them itself keeps its own.
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
    "Cache-Control": "no-store",
}
STRICT_TRANSPORT = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

PROBES = ("health", "metrics")  # orchestrators and Prometheus ask by address, not by name


class SecurityHeaders:
    """A WSGI middleware, so that no answer can leave without them, whatever made it."""

    def __init__(self, application: WSGIApplication, headers: dict[str, str]) -> None:
        self._application = application
        self._headers = [(name.lower(), (name, value)) for name, value in headers.items()]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, and add what its answer does not set itself."""

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            given = {name.lower() for name, _ in headers}
            return start_response(status, headers + [pair for name, pair in self._headers if name not in given], *rest)

        return self._application(environ, start)


def init_app(app: Flask) -> None:
    """Set limits on what is believed of a request, and headers on each answer."""
    settings = settings_of(app)
    app.config["MAX_CONTENT_LENGTH"] = settings.MAX_CONTENT_LENGTH
    headers = ALWAYS | (STRICT_TRANSPORT if settings.in_production else {})
    app.wsgi_app = SecurityHeaders(app.wsgi_app, headers)  # type: ignore[method-assign] # Flask's own way to wrap it
    if settings.TRUSTED_PROXIES:
        count = settings.TRUSTED_PROXIES
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_prefix=0)  # type: ignore[method-assign]
    if settings.TRUSTED_HOSTS:
        app.before_request(_refuse_foreign_host)


def _refuse_foreign_host() -> None:
    trusted = settings_of(current_app).TRUSTED_HOSTS
    if request.blueprint not in PROBES and not host_is_trusted(request.headers.get("Host", ""), trusted):
        raise Problem(400, "This service does not answer to that Host; add it to TRUSTED_HOSTS if it should.")
