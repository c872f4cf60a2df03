"""Probes: `/health` (alive), `/ready` (able to serve), `/health/detailed` (for whoever operates the service)."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify

from app.limits import unlimited
from app.observability.slo.objectives import HEALTH, READ, READY, objective
from app.pings import Answer, ask_all
from app.security.access import operators_only, public
from app.settings import settings_of

blueprint = Blueprint("health", __name__)

# Shared by all processes forked from the one that imported this, so that the master can tell every worker.
_draining = mmap.mmap(-1, 1)


def init_app(app: Flask) -> None:
    """Serve the probes."""
    app.register_blueprint(blueprint)


def start_draining() -> None:
    """Make `/ready` say 503 from now on, in every process of this service, so that no new traffic is sent here."""
    _draining[0] = 1


def is_draining() -> bool:
    """Whether the service is about to stop."""
    return bool(_draining[0])


def register_fact(app: Flask, name: str, tell: Callable[[], Mapping[str, Any] | None]) -> None:
    """Add what `tell` returns to `/health/detailed`; it is not asked while a dependency is away."""
    app.extensions.setdefault("health_facts", {})[name] = tell


def _verdict(answers: Mapping[str, Answer]) -> tuple[dict[str, Any], int]:
    checks = {name: answer.verdict for name, answer in answers.items()}
    if is_draining():
        checks["shutdown"] = "draining"
    ready = all(verdict == "ok" for verdict in checks.values())
    return {"status": "ready" if ready else "not_ready", "checks": checks}, 200 if ready else 503


@blueprint.get("/health")
@unlimited("orchestrators ask often, and must never be refused")
@objective(HEALTH)
@public("says nothing but that the process answers")
def health() -> Response:
    """Liveness: the process answers; nothing else is asked."""
    return jsonify(status="ok")


@blueprint.get("/ready")
@unlimited("orchestrators ask often, and must never be refused")
@objective(READY)
@public("names dependencies, and tells nothing about them but whether they answer")
def ready() -> tuple[Response, int]:
    """Readiness: every dependency answers, and the service is not shutting down."""
    body, status = _verdict(ask_all(current_app))
    return jsonify(body), status


@blueprint.get("/health/detailed")
@unlimited("behind the operators' token")
@objective(READ)
@operators_only
def detailed() -> tuple[Response, int]:
    """Readiness, with versions, latencies and the state of migrations and workers."""
    answers = ask_all(current_app)
    body, status = _verdict(answers)
    facts: dict[str, Callable[[], Any]] = current_app.extensions.get("health_facts", {})
    away = any(answer.verdict != "ok" for answer in answers.values())
    body["version"] = settings_of(current_app).OTEL_SERVICE_VERSION
    body["latency_ms"] = {name: round(answer.seconds * 1000, 1) for name, answer in answers.items()}
    body |= {name: None if away else tell() for name, tell in facts.items()}
    return jsonify(body), status
