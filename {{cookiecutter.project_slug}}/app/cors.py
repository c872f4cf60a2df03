"""Which other origins' pages may call the API: those in `CORS_ORIGINS`, and never with cookies."""

from __future__ import annotations

from flask import Flask
from flask_cors import CORS

from app.settings import settings_of

ALLOWED = ("Authorization", "Content-Type", "X-API-Key", "X-Export-Passphrase", "X-Request-ID")
EXPOSED = (
    *("X-Request-ID", "Location", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    *("Content-Disposition", "ETag", "Deprecation", "Sunset", "Link"),
)
PREFLIGHT_SECONDS = 600


def init_app(app: Flask) -> None:
    """Answer preflights for the API from the listed origins; the settings refuse `*` in production."""
    origins = settings_of(app).CORS_ORIGINS
    if not origins:
        return
    CORS(
        app,
        resources={"/api/*": {"origins": list(origins)}},
        supports_credentials=False,
        allow_headers=list(ALLOWED),
        expose_headers=list(EXPOSED),
        max_age=PREFLIGHT_SECONDS,
    )
