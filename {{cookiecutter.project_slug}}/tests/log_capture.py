"""Captures the log lines of the service."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO

from app.platform.telemetry.logging import JsonFormatter


@contextmanager
def captured_log(secrets: Iterable[str] = ()) -> Iterator[StringIO]:
    """Write the log of the `with` block to a stream too; `create_app` ends this, because it configures logging."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("service-under-test", secrets))
    logging.getLogger().addHandler(handler)
    try:
        yield stream
    finally:
        logging.getLogger().removeHandler(handler)
