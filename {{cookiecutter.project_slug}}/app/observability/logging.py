"""Structured logs: one JSON object a line, with the ids that tie it to a request, a trace and a user, and no secrets.

What a line must not hold is taken out at the very end, so that it does not matter how it got in: as a message, an
argument, an extra field or a traceback. Newlines are escaped by JSON, so nobody can forge a line.
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
from functools import lru_cache
from itertools import islice
from typing import Any

import orjson
from flask import Flask, Response
from opentelemetry import trace

from app.framework import asked, kept
from app.settings import Settings, settings_of

logger = logging.getLogger("app.access")

REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,128}$")
HIDDEN = "***"

SENSITIVE_WORDS = (
    *("password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key"),
    *("authorization", "cookie"),
)
SENSITIVE_NAMES = "|".join(SENSITIVE_WORDS)
SENSITIVE = re.compile(f"(?i){SENSITIVE_NAMES}")
PERSONAL = {"latitude", "longitude", "display_name"}
ASSIGNED = re.compile(rf"(?i)((?:{SENSITIVE_NAMES})[a-z_-]*\\*[\"']?\s*[:=]\s*\\*[\"']?)[^\s\"'\\,;&}}]+")
# What must not be told, after a sign that is in every text which holds it. Most texts hold no sign, and to search them
# in vain costs a line more than all the rest (170 µs, and 15).
PATTERNS = [
    ("bearer", re.compile(r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]+")),
    ("@", re.compile(r"(://[^/\s\"'@:]*:)[^@\s\"'/]+(?=@)")),
    (":", ASSIGNED),
    ("=", ASSIGNED),
    ("fsk_", re.compile(r"(fsk_[a-z0-9]{8}_)[A-Za-z0-9_-]+")),  # an API key; how it begins may be shown
    ("eyj", re.compile(r"()\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")),
    ("itude", re.compile(r"(?i)((?:lat|long)itude\\*[\"']?\s*[:=]\s*\\*[\"']?)-?\d[\d.e+-]*")),
    ("display_name", re.compile(r"(?i)(display_name\\*[\"']?\s*[:=]\s*\\*[\"']?)[^\"'\\,;&}\n]+")),
    ("@", re.compile(r"()[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")),
]
# Whatever is taken out has one of these in it, or is a secret of the settings.
SIGNS = (*SENSITIVE_WORDS, *dict.fromkeys(sign for sign, pattern in PATTERNS if pattern is not ASSIGNED))
# What JSON lets through, and terminals or readers of lines may take for a command or for the end of a line; and what
# cannot be written, the halves of surrogate pairs.
UNPRINTABLE = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000))}

GIVEN = len(vars(logging.makeLogRecord({})))  # what a record has before the extra fields of whoever made it
OF_FORMATTERS = {"message", "asctime"}  # which others add after them

_context: ContextVar[dict[str, Any] | None] = ContextVar("log_context", default=None)


def bind(**fields: Any) -> None:
    """Add fields to every line of this request or task."""
    _context.set({**(_context.get() or {}), **fields})


def rebind(**fields: Any) -> None:
    """Forget the fields of whatever this thread did before, and begin with these."""
    _context.set(fields)


def bound(name: str) -> Any:
    """A field that was bound, or None."""
    return (_context.get() or {}).get(name)


@lru_cache(maxsize=1024)
def is_sensitive(name: str) -> bool:
    """Whether what goes by this name must not be told."""
    return SENSITIVE.search(name) is not None


class Redactor:
    """Takes secrets and personal data out of what is about to leave the service."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({secret for secret in secrets if len(secret) > 3}, key=len, reverse=True)  # noqa: PLR2004 - shorter ones would hide common words
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        self._known_in_json = [json.dumps(secret, ensure_ascii=False)[1:-1] for secret in known]
        self._name = lru_cache(maxsize=1024)(self._text)  # there are few of them, again and again

    def __call__(self, value: Any) -> Any:
        """The value with every text in it cleaned, made of nothing but what JSON knows."""
        match value:
            case None | bool() | int() | float():
                return value
            case datetime():
                return value.isoformat()
            case Mapping():
                return {self._name(str(name)): self._member(str(name), item) for name, item in value.items()}
            case list() | tuple() | set():
                return [self(item) for item in value]
            case _:
                return self._text(str(value))

    def suspects(self, line: str) -> bool:
        """Whether there may be anything to take out of a line of JSON: in most there is not, which is quickly seen."""
        if not line.isascii():  # in which letters may be written in more ways
            return True
        lowered = line.lower()
        for sign in SIGNS:  # and not any() of a generator, which takes as long again
            if sign in lowered:
                return True
        for secret in self._known_in_json:  # noqa: SIM110
            if secret in line:
                return True
        return False

    def _member(self, name: str, value: Any) -> Any:
        if name in PERSONAL or (isinstance(value, str) and is_sensitive(name)):
            return HIDDEN
        return self(value)

    def _text(self, text: str) -> str:
        if self._known:
            text = self._known.sub(HIDDEN, text)
        lowered = text.lower()
        for sign, pattern in PATTERNS:
            if sign in lowered:
                text = pattern.sub(rf"\g<1>{HIDDEN}", text)
        return text


class Formatter(logging.Formatter):
    """A record as one line of JSON, in a third of the time that the general formatters for that take."""

    def __init__(self, service: str, secrets: Iterable[str]) -> None:
        super().__init__()
        self._service = service
        self._redact = Redactor(secrets)
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain).encode

    def format(self, record: logging.LogRecord) -> str:
        """Write the line without what must not be told, and escape what JSON does not."""
        told = self._fields(record)
        try:
            line = orjson.dumps(told, _plain, orjson.OPT_PASSTHROUGH_DATACLASS).decode()
        except orjson.JSONEncodeError:  # a name that is no text, half a surrogate pair, a number of over 64 bits
            return self._encode(self._redact(told)).translate(UNPRINTABLE)
        if not self._redact.suspects(line):
            return line.replace("\x7f", "\\u007f")  # it is ASCII, of which JSON lets through no other
        return self._encode(self._redact(told)).translate(UNPRINTABLE)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """What was said, when, by whom, with the ids of what it belongs to."""
        told: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        if record.exc_info and record.exc_info[0]:
            told["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            told["stack_info"] = record.stack_info
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            told |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        for name, value in islice(vars(record).items(), GIVEN, None):
            if name not in OF_FORMATTERS:
                told[name] = value
        return told | (_context.get() or {})


def _plain(value: object) -> Any:
    """What JSON knows for what it does not."""
    match value:
        case datetime():
            return value.isoformat()
        case Mapping():
            return dict(value)
        case set():
            return list(value)
        case _:
            return str(value)


class Answered(logging.LogRecord):
    """An answer, at INFO: what `Logger.info` would make, but for where in the code and by which thread.

    No line tells these, and to find them out is a good part of what a line costs.
    """

    COMMON = vars(
        logging.makeLogRecord(
            {"name": logger.name, "levelno": logging.INFO, "levelname": "INFO", "msg": "request"}
            | dict.fromkeys(("thread", "threadName", "process", "processName"))
        )
    )

    def __init__(self, **fields: Any) -> None:
        now = time.time()
        self.__dict__ = {**self.COMMON, "created": now, "msecs": now % 1 * 1000, **fields}


def configuration(settings: Settings) -> dict[str, Any]:
    """A `logging.config` dictionary: everything to standard output, and to `LOG_FILE` where one is set."""
    handlers: dict[str, dict[str, Any]] = {
        "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}
    }
    if settings.LOG_FILE:
        handlers["file"] = {
            "class": "logging.handlers.RotatingFileHandler",
            "filename": settings.LOG_FILE,
            "maxBytes": settings.LOG_MAX_BYTES,
            "backupCount": settings.LOG_BACKUPS,
            "encoding": "utf-8",
            "delay": True,
            "formatter": "json",
        }
    formatter = {"()": Formatter, "service": settings.SERVICE_NAME, "secrets": settings.secrets}
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
    """Log as JSON, give every request an id, and write one line for each."""
    # Records need not find out what no line tells (`Optimization` in the logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.config.dictConfig(configuration(settings_of(app)))
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    here = kept()
    here.started = time.perf_counter()
    given = asked().environ.get("HTTP_X_REQUEST_ID", "")
    here.request_id = given if REQUEST_ID.match(given) else f"{random.getrandbits(128):032x}"
    rebind(request_id=here.request_id)


def _end(response: Response) -> Response:
    it, here = asked(), kept()
    response.headers["X-Request-ID"] = here.request_id
    if logger.isEnabledFor(logging.INFO):
        logger.handle(
            Answered(
                method=it.method,
                path=it.path,  # without the query, which may hold positions
                route=it.url_rule.rule if it.url_rule else None,
                status=response.status_code,
                duration_ms=round((time.perf_counter() - here.started) * 1000, 2),
                bytes=response.content_length,
                address=it.remote_addr,
            )
        )
    return response
