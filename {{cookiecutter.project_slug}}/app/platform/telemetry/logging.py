"""Structured logs: one JSON object per line, with the ids of the request, the trace and the user, and no secrets.

`redaction` removes secrets and personal data. JSON escapes newlines, so no input can forge a line.
"""

from __future__ import annotations

import json
import logging
import logging.config
import random
import re
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
from flask import Flask, Response
from opentelemetry import trace

from app.platform.components import platform_of
from app.platform.settings.declarations import Settings, secrets_of, settings_of
from app.platform.telemetry.log_file import SharedRotatingFileHandler
from app.platform.telemetry.redaction import Redactor
from app.platform.web.request_state import current_request, request_state

logger = logging.getLogger("app.access")

REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,128}$")
# Characters that JSON does not escape but that terminals or line readers interpret, and lone surrogates, which cannot
# be encoded.
UNPRINTABLE = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000))}

STANDARD_FIELDS = len(vars(logging.makeLogRecord({})))  # a record has these before its extra fields
FORMATTER_FIELDS = {"message", "asctime"}  # added by other formatters

_context: ContextVar[dict[str, Any] | None] = ContextVar("log_context", default=None)


def bind_context(**fields: Any) -> None:
    """Add fields to every line of this request or task."""
    _context.set({**(_context.get() or {}), **fields})


def reset_context(**fields: Any) -> None:
    """Replace all bound fields by these."""
    _context.set(fields)


def context_value(name: str) -> Any:
    """Return a bound field, or None."""
    return (_context.get() or {}).get(name)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, in a third of the time that general JSON formatters take."""

    def __init__(self, service: str, secrets: Iterable[str], personal_fields: Iterable[str] = ()) -> None:
        super().__init__()
        self._service = service
        self._redact = Redactor(secrets, personal_fields)
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_json_default).encode

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted line, with the characters escaped that JSON does not escape."""
        fields = self._fields(record)
        try:
            line = orjson.dumps(fields, _json_default, orjson.OPT_PASSTHROUGH_DATACLASS).decode()
        except orjson.JSONEncodeError:  # a key that is not a string, a lone surrogate, an integer over 64 bits
            return self._encode(self._redact(fields)).translate(UNPRINTABLE)
        if not self._redact.may_contain_secrets(line):
            return line.replace("\x7f", "\\u007f")  # the only ASCII character that JSON does not escape
        return self._encode(self._redact(fields)).translate(UNPRINTABLE)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of a line."""
        fields: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        if record.exc_info and record.exc_info[0]:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack_info"] = record.stack_info
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            fields |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        for name, value in islice(vars(record).items(), STANDARD_FIELDS, None):
            if name not in FORMATTER_FIELDS:
                fields[name] = value
        return fields | (_context.get() or {})


def _json_default(value: object) -> Any:
    """Convert a value that JSON has no type for."""
    match value:
        case datetime():
            return value.isoformat()
        case Mapping():
            return dict(value)
        case set():
            return list(value)
        case _:
            return str(value)


def logging_config(settings: Settings, secrets: Iterable[str], personal_fields: Iterable[str]) -> dict[str, Any]:
    """Return the `logging.config` dictionary: everything to standard output, and to `LOG_FILE` if it is set."""
    handlers: dict[str, dict[str, Any]] = {
        "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}
    }
    if settings.LOG_FILE:
        handlers["file"] = {
            "()": SharedRotatingFileHandler,
            "path": settings.LOG_FILE,
            "max_bytes": settings.LOG_MAX_BYTES,
            "backups": settings.LOG_BACKUPS,
            "formatter": "json",
        }
    formatter = {
        "()": JsonFormatter,
        "service": settings.SERVICE_NAME,
        "secrets": tuple(secrets),
        "personal_fields": tuple(personal_fields),
    }
    through_root = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": formatter},
        "handlers": handlers,
        "root": {"level": settings.LOG_LEVEL, "handlers": list(handlers)},
        "loggers": {"gunicorn.error": through_root, "gunicorn.access": through_root},
    }


def init_app(app: Flask) -> None:
    """Log as JSON, give every request an id, and write one line per request."""
    # No line contains these, so records need not collect them ("Optimization" in the logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    settings = settings_of(app)
    logging.config.dictConfig(logging_config(settings, secrets_of(app), platform_of(app).personal_fields))
    app.before_request(_start_request)
    app.after_request(_log_request)


def _start_request() -> None:
    state = request_state()
    state.started_at = time.perf_counter()
    client_id = current_request().environ.get("HTTP_X_REQUEST_ID", "")
    state.request_id = client_id if REQUEST_ID.match(client_id) else f"{random.getrandbits(128):032x}"
    reset_context(request_id=state.request_id)


def _log_request(response: Response) -> Response:
    request, state = current_request(), request_state()
    response.headers["X-Request-ID"] = state.request_id
    fields = {
        "method": request.method,
        "path": request.path,  # without the query, which may contain personal data
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "duration_ms": round((time.perf_counter() - state.started_at) * 1000, 2),
        "bytes": response.content_length,
        "address": request.remote_addr,
    }
    logger.info("request", extra=fields)
    return response
