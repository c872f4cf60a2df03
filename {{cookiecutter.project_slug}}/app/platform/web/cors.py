"""CORS: pages of the origins in `CORS_ORIGINS` may call the API, without cookies."""

from __future__ import annotations

from flask import Flask
from flask_cors import CORS

from app.platform.components import platform_of
from app.platform.settings.declarations import settings_of
from app.platform.settings.origins import origin_pattern

ALLOWED_HEADERS = (
    *("Authorization", "Content-Type", "X-API-Key", "X-Request-ID"),
    *("Idempotency-Key", "If-Match", "If-None-Match"),
)
EXPOSED_HEADERS = (
    *("X-Request-ID", "Location", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    *("Content-Disposition", "ETag", "Deprecation", "Sunset", "Link", "Idempotency-Replayed"),
)
PREFLIGHT_MAX_AGE_SECONDS = 600


def init_app(app: Flask) -> None:
    """Answer preflight requests of the listed origins; the settings reject `*` in production."""
    origins = settings_of(app).CORS_ORIGINS
    if not origins:
        return
    CORS(
        app,
        # Expressions of our own: the library reads a text that contains * or [ as an expression, without an end.
        resources={"/api/*": {"origins": "*" if "*" in origins else [origin_pattern(origin) for origin in origins]}},
        always_send=False,  # requests of no page get no header, instead of the list of origins
        supports_credentials=False,
        allow_headers=[*ALLOWED_HEADERS, *platform_of(app).request_headers],
        expose_headers=list(EXPOSED_HEADERS),
        max_age=PREFLIGHT_MAX_AGE_SECONDS,
    )
