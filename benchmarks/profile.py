"""CPU time of a health check by component: `python -m benchmarks.profile` (benchmarks/README.md has the whole command).

The service runs in this process, without Gunicorn, with all features on. cProfile overstates small functions, so only
the shares come from it; the microseconds are measured without it.
"""

from __future__ import annotations

import cProfile
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask, jsonify
from werkzeug.test import create_environ

from benchmarks.service_app import COMPONENTS, create_service_app, production_environment

REQUESTS, REPEATS = 2000, 5
UNUSED_ADDRESS = "127.0.0.1:9"  # a health check connects to no server


def component(file: str) -> str:
    """Return the component of a source file."""
    return next((name for part, name in COMPONENTS.items() if part in file), "other")


def call(application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> None:
    """Send one request to a WSGI application and consume the response."""
    response = application(dict(environ), lambda *_: None)
    for _ in response:
        pass
    if hasattr(response, "close"):
        response.close()


def cpu_microseconds(application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> float:
    """Return the CPU microseconds per request, the minimum of several repeats."""
    measured = []
    for _ in range(REPEATS):
        start = time.process_time()
        for _ in range(REQUESTS):
            call(application, environ)
        measured.append((time.process_time() - start) / REQUESTS * 1e6)
    return min(measured)


def component_shares(application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> dict[str, float]:
    """Return each component's share of the CPU time per request, the largest first."""
    profile = cProfile.Profile(builtins=False)  # a builtin's time counts for its caller
    with profile:
        for _ in range(REQUESTS):
            call(application, environ)
    seconds: Counter[str] = Counter()
    for entry in profile.getstats():
        file = entry.code if isinstance(entry.code, str) else entry.code.co_filename
        seconds[component(file)] += entry.inlinetime  # type: ignore[assignment] # Counter also adds floats
    return {name: value / seconds.total() for name, value in seconds.most_common()}


@contextmanager
def discarded_log() -> Iterator[None]:
    """Discard the service's log lines until the block ends; they are written as usual, to the null device."""
    with Path(os.devnull).open("w", encoding="utf-8") as devnull:
        for handler in logging.getLogger().handlers:
            handler.stream = devnull  # type: ignore[attr-defined] # the service's handlers are StreamHandlers
        yield


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # read when the service is imported
        print_profile()


def print_profile() -> None:
    """Measure the service and a bare Flask app, and print the table."""
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{UNUSED_ADDRESS}", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
    urls = (f"postgresql://{UNUSED_ADDRESS}/x", f"redis://{UNUSED_ADDRESS}/0")
    service = create_service_app(production_environment(*urls, ENABLE_DB_PROFILING="true", **settings))
    bare = Flask("bare")
    bare.add_url_rule("/health", view_func=lambda: jsonify(status="ok"))
    environ = create_environ("/health")
    with discarded_log():
        call(service, environ)
        of_service, of_bare_flask = cpu_microseconds(service, environ), cpu_microseconds(bare, environ)
        shares = component_shares(service, environ)
    print(f"Health check without Gunicorn: {of_service:.0f} us of CPU time; bare Flask: {of_bare_flask:.0f} us.")
    for name, share in shares.items():
        print(f"{name:50} {share:4.0%}")


if __name__ == "__main__":
    main()
