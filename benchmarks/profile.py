"""Where the processor time of an empty answer goes, by what the code is for: `python -m benchmarks.profile`.

It is asked within one process, past Gunicorn, with everything on; benchmarks/README.md says how it is run. A profiler
makes small functions look larger than they are; the microseconds are taken without it.
"""

from __future__ import annotations

import cProfile
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ANSWERS, TRIES = 2000, 5
# The first of these that is in a function's file says what the function is for.
ROOMS = {
    "/app/observability/logging.py": "log line",
    "/logging/__init__.py": "log line",
    "/app/observability/tracing.py": "traces",
    "/opentelemetry/": "traces",
    "/prometheus_client/": "counts",
    "/app/observability/": "counts",
    "/app/": "ids, limits, access, headers",
    "/werkzeug/": "Flask and Werkzeug",
    "/flask/": "Flask and Werkzeug",
    "/blinker/": "Flask and Werkzeug",
    "/flask_sqlalchemy/": "the database's session, which is not there",
    "/sqlalchemy/": "the database's session, which is not there",
}


def room(file: str) -> str:
    """Say what the functions of a file are for."""
    return next((name for part, name in ROOMS.items() if part in file), "other")


def ask(application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> None:
    """Have a WSGI application answer a request."""
    answer = application(dict(environ), lambda *_: None)
    for _ in answer:
        pass
    if hasattr(answer, "close"):
        answer.close()


def microseconds(application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> float:
    """Return the processor time of an answer, the least of several tries."""
    found = []
    for _ in range(TRIES):
        began = time.process_time()
        for _ in range(ANSWERS):
            ask(application, environ)
        found.append((time.process_time() - began) / ANSWERS * 1e6)
    return min(found)


def shares(application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> dict[str, float]:
    """Return the share of each room in the time of an answer, the largest first."""
    profile = cProfile.Profile(builtins=False)  # whose time is that of whoever calls them
    with profile:
        for _ in range(ANSWERS):
            ask(application, environ)
    spent: Counter[str] = Counter()
    for entry in profile.getstats():
        file = entry.code if isinstance(entry.code, str) else entry.code.co_filename
        spent[room(file)] += entry.inlinetime  # type: ignore[assignment] # seconds count too
    return {name: seconds / spent.total() for name, seconds in spent.most_common()}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as counts:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts  # read when the service is imported
        tell()


def tell() -> None:
    """Measure, and print what was found."""
    from app import create_app  # noqa: PLC0415
    from flask import Flask, jsonify  # noqa: PLC0415
    from tests.environments import production_environment  # noqa: PLC0415
    from werkzeug.test import create_environ  # noqa: PLC0415

    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
    nobody = "127.0.0.1:9"  # an empty answer asks no server
    service = create_app(
        production_environment(f"postgresql://{nobody}/x", f"redis://{nobody}/0", ENABLE_DB_PROFILING="true", **told)
    )
    bare = Flask("bare")
    bare.add_url_rule("/health", view_func=lambda: jsonify(status="ok"))
    environ = create_environ("/health")
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        for handler in logging.getLogger().handlers:
            handler.stream = nowhere  # type: ignore[attr-defined] # they write to streams
        ask(service, environ)
        own, other = microseconds(service, environ), microseconds(bare, environ)
        found = shares(service, environ)
    print(f"An empty answer without Gunicorn: {own:.0f} us of processor time, of a bare Flask {other:.0f}.")
    for name, share in found.items():
        print(f"{name:45} {share:4.0%}")


if __name__ == "__main__":
    main()
