"""Error reports to Sentry if `SENTRY_DSN` is set: every line that is logged as an error, without personal data.

A report contains only the fields of an allow list: no body, query, header or cookie, no value of a variable, no
argument of a task, no earlier log lines. The texts of errors are redacted like log lines, and precise coordinates are
removed too.

The SDK's own integrations are off: they inspect every request and log line, which took 30 % of a request's time when
last measured, to collect fields that this module drops.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from celery import current_task
from celery.signals import worker_process_shutdown
from flask import Flask, has_request_context, request
from opentelemetry import trace

from app.platform.components import platform_of
from app.platform.settings.declarations import secrets_of, settings_of
from app.platform.telemetry.logging import context_value
from app.platform.telemetry.redaction import REDACTED, Redactor

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

ALLOWED_FIELDS = (
    *("event_id", "timestamp", "platform", "level", "logger"),
    *("release", "environment", "server_name", "sdk"),
)
# Degrees with three or more decimals: they locate a place to within 100 metres.
PRECISE_COORDINATE = re.compile(r"(?<![\d.])-?\d{1,3}\.\d{3,}(?![\d.])")
FLUSH_SECONDS = 2.0


def init_app(app: Flask) -> None:
    """Report errors if `SENTRY_DSN` is set."""
    settings = settings_of(app)
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk  # noqa: PLC0415 - 0.3 s of import time
    from sentry_sdk.integrations.atexit import AtexitIntegration  # noqa: PLC0415 - likewise
    from sentry_sdk.integrations.dedupe import DedupeIntegration  # noqa: PLC0415 - likewise
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration  # noqa: PLC0415 - likewise
    from sentry_sdk.integrations.logging import EventHandler  # noqa: PLC0415 - likewise

    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.APP_ENV,
        release=f"{settings.SERVICE_NAME}@{settings.OTEL_SERVICE_VERSION}",
        sample_rate=settings.SENTRY_SAMPLE_RATE,
        default_integrations=False,
        integrations=[AtexitIntegration(lambda *_: None), DedupeIntegration(), ExcepthookIntegration()],
        include_local_variables=False,  # they contain passwords and positions
        max_breadcrumbs=0,
        auto_session_tracking=False,
        before_send=_event_filter(Redactor(secrets_of(app), platform_of(app).personal_fields)),
    )
    logging.getLogger().addHandler(EventHandler(logging.ERROR))

    def flush(**_: Any) -> None:
        sentry_sdk.flush(FLUSH_SECONDS)

    # A task process exits without running exit handlers.
    worker_process_shutdown.connect(flush, weak=False)


def _event_filter(redact: Redactor) -> Callable[[Event, Hint], Event]:
    """Return the `before_send` function, which keeps and redacts the allowed fields."""

    def clean(text: Any) -> Any:
        return PRECISE_COORDINATE.sub(REDACTED, redact(text)) if isinstance(text, str) else None

    def filter_event(event: Event, _hint: Hint) -> Event:
        original: dict[str, Any] = dict(event)
        filtered = {name: original[name] for name in ALLOWED_FIELDS if name in original}
        if message := original.get("logentry"):
            filtered["logentry"] = {name: clean(message.get(name)) for name in ("message", "formatted")}
        if exceptions := original.get("exception"):
            filtered["exception"] = redact(exceptions)
            for exception in filtered["exception"]["values"]:
                exception["value"] = clean(exception.get("value"))
        return cast("Event", filtered | _event_context())

    return filter_event


def _event_context() -> dict[str, Any]:
    """Return the route or task, the id of the user, and the ids that find the error in logs and traces."""
    tags = {"request_id": context_value("request_id")}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        tags["trace_id"] = f"{span.trace_id:032x}"
    fields: dict[str, Any] = {"tags": {name: value for name, value in tags.items() if value}}
    if user_id := context_value("user_id"):
        fields["user"] = {"id": str(user_id)}
    if has_request_context() and request.url_rule:
        fields["transaction"] = f"{request.method} {request.url_rule.rule}"
    elif current_task:
        fields["transaction"] = current_task.name
    return fields
