"""Serves `/metrics` of a worker on `WORKER_METRICS_PORT`, under the access rule of the web's `/metrics`.

The main process forks while this thread serves, and a lock held at that moment would stay locked in the child. So the
thread takes no such lock: it counts and logs nothing, and uses neither the database nor Redis.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from celery import signals
from flask import Flask, Response, request

from app.platform.operations import metrics
from app.platform.security.access import OPERATOR_OR_PRIVATE_NETWORK
from app.platform.settings.declarations import settings_of
from app.platform.web.problems import Problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

CLIENT_TIMEOUT_SECONDS = 5


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Serves one route of an app; raises `OSError` if it cannot listen on the address."""

    daemon_threads = True

    def __init__(self, app: Flask, address: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address.strip("[]"), port), QuietHandler)
        self._app = app
        self.set_app(self._respond)

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Without the app's request hooks, which count and log.
        with self._app.request_context(environ):
            return worker_metrics()(environ, start_response)


class QuietHandler(WSGIRequestHandler):
    """Closes connections that send nothing for `CLIENT_TIMEOUT_SECONDS`."""

    timeout = CLIENT_TIMEOUT_SECONDS

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def worker_metrics() -> Response:
    """Return the metrics of this worker's processes, under the access rule of the web's `/metrics`."""
    if request.path != "/metrics":
        return Response(status=404)
    try:
        OPERATOR_OR_PRIVATE_NETWORK.check()
    except Problem as problem:
        return Response(problem.description, problem.code, problem.headers)
    return metrics.metrics_response()


_servers: list[MetricsServer] = []


def init_app(app: Flask) -> None:
    """Serve the metrics of a worker of this app, after it has started its processes."""
    if settings_of(app).WORKER_METRICS_PORT:
        signals.worker_ready.connect(_start)
        signals.worker_process_init.connect(_close_in_child)


def _start(sender: Any, **_: Any) -> None:
    threading.Thread(target=_serve, args=(sender.app.flask_app,), daemon=True).start()


def _serve(app: Flask) -> None:
    """Serve the metrics; if the port is in use, log an error, and the worker runs without them."""
    settings = settings_of(app)
    try:
        server = MetricsServer(app, settings.BIND_ADDRESS, settings.WORKER_METRICS_PORT)
    except OSError as error:
        logger.error("metrics are not served on port %d: %s", settings.WORKER_METRICS_PORT, error)  # noqa: TRY400 - no traceback needed
        return
    _servers.append(server)
    server.serve_forever()


def _close_in_child(**_: Any) -> None:
    """Close the port in a task's process, which may outlive a killed worker."""
    for server in _servers:
        server.socket.close()
