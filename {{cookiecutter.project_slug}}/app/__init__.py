"""The service: `create_app` loads the settings, sets up the platform and registers the features."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from app.platform.telemetry import multiprocess_metrics  # isort: skip # noqa: F401 - before any metric is created
from app.features import FEATURE_SETTINGS, FEATURES, PERSONAL_FIELDS
from app.platform import storage
from app.platform.api import blueprints, concurrency, rate_limits
from app.platform.components import Platform
from app.platform.database import base, query_profiler
from app.platform.feature import register_features
from app.platform.operations import health, metrics, slo_commands, startup, storage_owner
from app.platform.profiling import profile_requests
from app.platform.redis import cache, client
from app.platform.security import access, backoff, tokens
from app.platform.settings import checks
from app.platform.tasks import celery, dead_letters
from app.platform.tasks import metrics as task_metrics
from app.platform.telemetry import logging, objectives, sentry, tracing
from app.platform.web import cors, headers, problems
from app.platform.web.flask_app import ServiceFlask


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Create the app from an environment (default: that of the process); raises `SettingsError` if it is invalid."""
    app = ServiceFlask(__name__)
    app.extensions["platform"] = Platform(
        personal_fields=PERSONAL_FIELDS,
        request_headers=tuple(name for feature in FEATURES for name in feature.request_headers),
        scopes=tuple(scope for feature in FEATURES for scope in feature.scopes),
    )
    checks.init_app(app, environ, FEATURE_SETTINGS)

    # Request hooks run in this order: request id, span and metrics come before anything that may reject the request.
    for module in (logging, tracing, sentry, metrics, problems, headers, cors, concurrency):
        module.init_app(app)

    for module in (base, query_profiler, client, storage, cache, tokens, rate_limits, access, backoff, health):
        module.init_app(app)

    for module in (
        celery,
        dead_letters,
        task_metrics,
        profile_requests,
        blueprints,
        startup,
        storage_owner,
        slo_commands,
    ):
        module.init_app(app)

    register_features(app, FEATURES)
    for register in (objectives.index_objectives, rate_limits.register_limits, concurrency.check_limits):
        register(app)  # after all routes are registered
    return app
