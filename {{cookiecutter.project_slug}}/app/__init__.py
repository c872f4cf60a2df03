"""The service. `create_app` puts its parts in order."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from app.observability import slots  # isort: skip # noqa: F401 - before anything makes a metric
from app import (
    accounts,
    admin,
    api,
    api_keys,
    audit,
    boot,
    cache,
    configuration,
    cors,
    data_files,
    database,
    errors,
    headers,
    health,
    limits,
    locations,
    privacy,
    redis_client,
    storage,
    worker,
)
from app.framework import Service
from app.observability import error_reports, logging, metrics, profiling, query_profiler, slo, task_metrics, tracing
from app.security import access, tokens


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Make the app from the environment (the process's own by default); raises `SettingsError` if that is no good."""
    app = Service(__name__)
    settings = configuration.load(environ)
    app.extensions["settings"] = settings
    app.secret_key = settings.SECRET_KEY

    # The order of what happens to a request: ids, a span and a count come before anything may refuse it.
    for part in (logging, tracing, error_reports, metrics, errors, headers, cors):
        part.init_app(app)

    for part in (database, query_profiler, redis_client, storage, cache, tokens, limits, access, health):
        part.init_app(app)

    for part in (worker, task_metrics, profiling, api, boot):
        part.init_app(app)

    for feature in (audit, accounts, api_keys, locations, data_files, admin, privacy):
        feature.init_app(app)
    slo.init_app(app)  # every route is there
    return app
