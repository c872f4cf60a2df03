"""The service. `create_app` puts its parts in order."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from app import (
    accounts,
    api,
    audit,
    boot,
    configuration,
    cors,
    database,
    errors,
    headers,
    health,
    limits,
    locations,
    redis_client,
    worker,
)
from app.observability import error_reports, logging, metrics, tracing
from app.security import access, tokens


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Make the app from the environment (the process's own by default); raises `SettingsError` if that is no good."""
    app = Flask(__name__, static_folder=None)
    settings = configuration.load(environ)
    app.extensions["settings"] = settings
    app.secret_key = settings.SECRET_KEY

    # The order of what happens to a request: ids, a span and a count come before anything may refuse it.
    logging.init_app(app)
    tracing.init_app(app)
    error_reports.init_app(app)
    metrics.init_app(app)
    errors.init_app(app)
    headers.init_app(app)
    cors.init_app(app)

    database.init_app(app)
    redis_client.init_app(app)
    tokens.init_app(app)
    limits.init_app(app)
    access.init_app(app)
    health.init_app(app)
    worker.init_app(app)
    api.init_app(app)
    boot.init_app(app)

    for feature in (audit, accounts, locations):
        feature.init_app(app)
    return app
