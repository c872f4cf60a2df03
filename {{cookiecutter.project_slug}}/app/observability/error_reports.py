"""Errors, reported to Sentry when `SENTRY_DSN` is set: what is logged as an error, and nothing that is personal.

A report is made of a list of what it may hold, rather than of everything but what it may not: no body, query, header or
cookie, no value of a variable, no argument of a task, no earlier lines of the log. Texts of errors are cleaned as log
lines are, and of positions besides.

The SDK's own integrations would look at every request and line (three tenths of a request's time, when last measured)
to know what this leaves out anyway.
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

from app.observability.logging import HIDDEN, Redactor, bound
from app.settings import settings_of

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

KEPT = ("event_id", "timestamp", "platform", "level", "logger", "release", "environment", "server_name", "sdk")
FINE_NUMBER = re.compile(r"(?<![\d.])-?\d{1,3}\.\d{3,}(?![\d.])")  # degrees that tell a place to within 100 metres
FLUSH_SECONDS = 2.0


def init_app(app: Flask) -> None:
    """Report errors, if there is somebody to report them to."""
    settings = settings_of(app)
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk  # noqa: PLC0415 - a third of a second that a service without it does not pay
    from sentry_sdk.integrations.atexit import AtexitIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.dedupe import DedupeIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.logging import EventHandler  # noqa: PLC0415

    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.APP_ENV,
        release=f"{settings.SERVICE_NAME}@{settings.OTEL_SERVICE_VERSION}",
        sample_rate=settings.SENTRY_SAMPLE_RATE,
        default_integrations=False,
        integrations=[AtexitIntegration(lambda *_: None), DedupeIntegration(), ExcepthookIntegration()],
        include_local_variables=False,  # they hold passwords and positions
        max_breadcrumbs=0,
        auto_session_tracking=False,
        before_send=_made_of_what_is_allowed(Redactor(settings.secrets)),
    )
    logging.getLogger().addHandler(EventHandler(logging.ERROR))

    def flush(**_: Any) -> None:
        sentry_sdk.flush(FLUSH_SECONDS)

    # A task process ends without running exit handlers.
    worker_process_shutdown.connect(flush, weak=False)


def _made_of_what_is_allowed(redact: Redactor) -> Callable[[Event, Hint], Event]:
    def clean(text: Any) -> Any:
        return FINE_NUMBER.sub(HIDDEN, redact(text)) if isinstance(text, str) else None

    def report(event: Event, _hint: Hint) -> Event:
        given: dict[str, Any] = dict(event)
        made = {name: given[name] for name in KEPT if name in given}
        if message := given.get("logentry"):
            made["logentry"] = {name: clean(message.get(name)) for name in ("message", "formatted")}
        if exceptions := given.get("exception"):
            made["exception"] = redact(exceptions)
            for exception in made["exception"]["values"]:
                exception["value"] = clean(exception.get("value"))
        return cast("Event", made | _circumstances())

    return report


def _circumstances() -> dict[str, Any]:
    """Where the error happened, to whom (an id, no more), and by which ids the rest is found in logs and traces."""
    tags = {"request_id": bound("request_id")}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        tags["trace_id"] = f"{span.trace_id:032x}"
    found: dict[str, Any] = {"tags": {name: value for name, value in tags.items() if value}}
    if user_id := bound("user_id"):
        found["user"] = {"id": str(user_id)}
    if has_request_context() and request.url_rule:
        found["transaction"] = f"{request.method} {request.url_rule.rule}"
    elif current_task:
        found["transaction"] = current_task.name
    return found
