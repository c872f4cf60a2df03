"""Security headers of every response, trusted proxies and trusted hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import host_is_trusted

from app.platform.settings.declarations import settings_of
from app.platform.web.client_address import ClientAddress
from app.platform.web.problem_types import UNTRUSTED_HOST
from app.platform.web.problems import Problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Values of the OWASP Secure Headers Project. A header that a response already sets is not changed.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
    "Cache-Control": "no-store",
}
HSTS_HEADER = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

PROBES = ("health", "metrics")  # blueprints that orchestrators and Prometheus call by IP address


class SecurityHeaders:
    """WSGI middleware that adds the headers to every response, also to those that Flask does not create."""

    def __init__(self, wsgi_app: WSGIApplication, headers: dict[str, str]) -> None:
        self._wsgi_app = wsgi_app
        self._headers = [(name.lower(), (name, value)) for name, value in headers.items()]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the app and add the headers that its response does not set."""

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            existing = {name.lower() for name, _ in headers}
            return start_response(
                status, headers + [pair for name, pair in self._headers if name not in existing], *rest
            )

        return self._wsgi_app(environ, start)


def init_app(app: Flask) -> None:
    """Limit the size of bodies, add the headers, and set up trusted proxies and hosts from the settings."""
    settings = settings_of(app)
    app.config["MAX_CONTENT_LENGTH"] = settings.MAX_CONTENT_LENGTH
    headers = SECURITY_HEADERS | (HSTS_HEADER if settings.in_production else {})
    count = settings.TRUSTED_PROXIES
    wsgi_app = ClientAddress(SecurityHeaders(app.wsgi_app, headers), count)
    proxy_fix = ProxyFix(wsgi_app, x_for=0, x_proto=count, x_host=0, x_prefix=0) if count else wsgi_app
    app.wsgi_app = proxy_fix  # type: ignore[method-assign] # as Flask documents for middleware
    if settings.TRUSTED_HOSTS:
        app.before_request(_reject_untrusted_host)


def _reject_untrusted_host() -> None:
    trusted = settings_of(current_app).TRUSTED_HOSTS
    if request.blueprint not in PROBES and not host_is_trusted(request.headers.get("Host", ""), trusted):
        raise Problem(UNTRUSTED_HOST, "The Host header is not trusted. To accept this host, add it to TRUSTED_HOSTS.")
