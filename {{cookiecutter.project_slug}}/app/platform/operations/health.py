"""Probes: `/health` (liveness), `/ready` (readiness), `/health/detailed` (for operators, needs a token)."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify

from app.platform.api.rate_limits import no_rate_limit
from app.platform.components import platform_of
from app.platform.security.access import operator_token_required, public
from app.platform.settings.declarations import settings_of
from app.platform.telemetry.dependency_checks import CheckResult, HealthFacts, run_checks
from app.platform.telemetry.objectives import READ, objective
from app.platform.web.route_policy import Objective

blueprint = Blueprint("health", __name__)

HEALTH = Objective(0.1, availability=0.999)
READY = Objective(0.2, availability=0.999)

# Shared by all processes forked from the one that imported this module, so that the master can set it for all workers.
_draining = mmap.mmap(-1, 1)


def init_app(app: Flask) -> None:
    """Register the probes."""
    app.register_blueprint(blueprint)


def start_draining() -> None:
    """Make `/ready` return 503 in every process, so that the proxy sends no new traffic to this container."""
    _draining[0] = 1


def is_draining() -> bool:
    """Whether the service is about to stop."""
    return bool(_draining[0])


def _readiness(results: Mapping[str, CheckResult]) -> tuple[dict[str, Any], int]:
    checks = {name: result.status for name, result in results.items()}
    if is_draining():
        checks["shutdown"] = "draining"
    ready = all(status == "ok" for status in checks.values())
    return {"status": "ready" if ready else "not_ready", "checks": checks}, 200 if ready else 503


@blueprint.get("/health")
@no_rate_limit("orchestrators probe often and must never be rejected")
@objective(HEALTH)
@public("reveals only that the process answers")
def health() -> Response:
    """Liveness: the process answers; no dependency is checked."""
    return jsonify(status="ok")


@blueprint.get("/ready")
@no_rate_limit("orchestrators probe often and must never be rejected")
@objective(READY)
@public("reveals the names of the dependencies and whether they answer")
def ready() -> tuple[Response, int]:
    """Readiness: every dependency answers, and the service is not shutting down."""
    body, status = _readiness(run_checks(current_app))
    return jsonify(body), status


@blueprint.get("/health/detailed")
@no_rate_limit("needs the operators' token")
@objective(READ)
@operator_token_required
def detailed() -> tuple[Response, int]:
    """Readiness with versions, latencies and the state of migrations and workers."""
    results = run_checks(current_app)
    body, status = _readiness(results)
    unavailable = any(result.status != "ok" for result in results.values())
    body["version"] = settings_of(current_app).OTEL_SERVICE_VERSION
    body["latency_ms"] = {name: round(result.seconds * 1000, 1) for name, result in results.items()}
    facts = platform_of(current_app).get_or_create(HealthFacts)
    body |= {name: None if unavailable else fact() for name, fact in facts.items()}
    return jsonify(body), status
