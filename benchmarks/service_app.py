"""Everything that the benchmark imports from the baked service; no other module here imports `app` or `tests`.

The service's folder is on the module path (PYTHONPATH).
"""

from __future__ import annotations

from typing import Any

from tests.environments import NO_OVERLOAD, production_environment
from tests.servers import (
    PostgresServer,
    RedisServer,
    RunningService,
    ServerError,
    clean_environment,
    free_port,
    start_postgres,
    start_redis,
)
from tests.servers.nginx import start_nginx

OVERLOAD_SETTINGS = tuple(NO_OVERLOAD)  # the tests disable these bounds; an empty value is the default

__all__ = [
    "COMPONENTS",
    "OVERLOAD_SETTINGS",
    "PostgresServer",
    "RedisServer",
    "RunningService",
    "ServerError",
    "clean_environment",
    "create_app_with_flask_limiter_hooks",
    "create_service_app",
    "free_port",
    "production_environment",
    "start_nginx",
    "start_postgres",
    "start_redis",
]

# Part of a source file's path: component, for benchmarks.profile. The first match counts.
COMPONENTS = {
    "/app/platform/telemetry/logging.py": "logging",
    "/app/platform/telemetry/redaction.py": "logging",
    "/logging/__init__.py": "logging",
    "/app/platform/telemetry/tracing.py": "tracing",
    "/opentelemetry/": "tracing",
    "/prometheus_client/": "metrics",
    "/app/platform/telemetry/": "metrics",
    "/app/platform/operations/metrics.py": "metrics",
    "/flask_limiter/": "request ids, rate limits, access control, headers",
    "/limits/": "request ids, rate limits, access control, headers",
    "/app/": "request ids, rate limits, access control, headers",
    "/werkzeug/": "Flask and Werkzeug",
    "/flask/": "Flask and Werkzeug",
    "/blinker/": "Flask and Werkzeug",
    "/flask_sqlalchemy/": "SQLAlchemy session (unused)",
    "/sqlalchemy/": "SQLAlchemy session (unused)",
}


def create_service_app(environment: dict[str, str]) -> Any:  # noqa: ANN401  # Flask has no types in this environment
    """Return the service's Flask app.

    The import is here because prometheus_client reads PROMETHEUS_MULTIPROC_DIR when the service is imported.
    """
    from app import create_app  # noqa: PLC0415  # see above

    return create_app(environment)


def create_app_with_flask_limiter_hooks(environment: dict[str, str]) -> Any:  # noqa: ANN401  # see above
    """Return the service's Flask app, with rate limits that Flask-Limiter's decorators and hooks check."""
    from app.platform.api.rate_limits import limiter  # noqa: PLC0415  # see above
    from app.platform.web.route_policy import policy_of  # noqa: PLC0415  # see above

    init_app = limiter.ServiceLimiter.init_app
    limiter.ServiceLimiter.init_app = limiter.Limiter.init_app
    try:
        app = create_service_app(environment)
    finally:
        limiter.ServiceLimiter.init_app = init_app
    app.after_request(limiter.add_headers)
    decorator_of = limiter.limiter_of(app).decorator_of
    app.view_functions.update({name: decorator_of(policy_of(view))(view) for name, view in app.view_functions.items()})
    return app
