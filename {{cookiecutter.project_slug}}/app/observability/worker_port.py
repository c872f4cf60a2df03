"""A worker's `/metrics`, served by its main process on a port of its own, to whom the web's is served too.

The thread that serves takes no lock that a process forked at that moment would inherit: it counts and logs nothing, and
asks neither the database nor Redis.
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

from app.errors import Problem
from app.observability import metrics
from app.settings import settings_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

CALLER_SECONDS = 5


class Server(ThreadingMixIn, WSGIServer):
    """Serves one route of an app; raises `OSError` where the address cannot be listened on."""

    daemon_threads = True

    def __init__(self, app: Flask, address: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address.strip("[]"), port), Handler)
        self._app = app
        self.set_app(self._answer)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Past what the app does before and after every request of its own.
        with self._app.request_context(environ):
            return respond()(environ, start_response)


class Handler(WSGIRequestHandler):
    """Gives up callers who say nothing."""

    timeout = CALLER_SECONDS

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def respond() -> Response:
    """The counts of this worker's processes; to those only who may have them of the web processes."""
    if request.path != "/metrics":
        return Response(status=404)
    try:
        vars(metrics.metrics)["access"]()
    except Problem as refusal:
        return Response(refusal.description, refusal.code, refusal.headers)
    return metrics.as_text()


_servers: list[Server] = []


def init_app(app: Flask) -> None:
    """Have a worker of this app serve, once its processes are there."""
    if settings_of(app).WORKER_METRICS_PORT:
        signals.worker_ready.connect(_start)
        signals.worker_process_init.connect(_let_go)


def _start(sender: Any, **_: Any) -> None:
    threading.Thread(target=_serve, args=(sender.app.flask_app,), daemon=True).start()


def _serve(app: Flask) -> None:
    """Serve; a worker that cannot, because the port is taken, works all the same."""
    settings = settings_of(app)
    try:
        server = Server(app, settings.BIND_ADDRESS, settings.WORKER_METRICS_PORT)
    except OSError as error:
        logger.error("metrics are not served on port %d: %s", settings.WORKER_METRICS_PORT, error)  # noqa: TRY400 - all is said
        return
    _servers.append(server)
    server.serve_forever()


def _let_go(**_: Any) -> None:
    """Do not hold the port in a task's process, which may outlive a worker that is killed."""
    for server in _servers:
        server.socket.close()
