"""Unhandled errors, reported to Sentry when `SENTRY_DSN` is set, without what must not leave the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import Flask

from app.observability.logging import Redactor
from app.settings import settings_of

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint


def init_app(app: Flask) -> None:
    """Report errors, if there is somebody to report them to."""
    settings = settings_of(app)
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk  # noqa: PLC0415 - a third of a second that a service without it does not pay

    redact = Redactor(settings.secrets)

    def scrub(event: Event, _hint: Hint) -> Event:
        return cast("Event", redact(event))

    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.APP_ENV,
        release=settings.OTEL_SERVICE_VERSION,
        include_local_variables=False,  # they hold passwords and positions
        max_request_body_size="never",
        before_send=scrub,
    )
