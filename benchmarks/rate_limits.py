"""Cost of rate limits: `python -m benchmarks.rate_limits` (benchmarks/README.md has the whole command).

The service runs in this process, without Gunicorn, with a real PostgreSQL and Redis. A profile read is compared with
one without rate limits, and with one whose limits are checked by Flask-Limiter's own request hooks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import Any

from werkzeug.test import create_environ

from benchmarks.paired_statistics import alternate, paired_ratio
from benchmarks.profile import call, discarded_log
from benchmarks.routes import PROFILE_READ
from benchmarks.service_app import (
    clean_environment,
    create_app_with_flask_limiter_hooks,
    create_service_app,
    production_environment,
    start_postgres,
    start_redis,
)

ROUNDS, REQUESTS = 200, 100  # short measurements: the ratio of a pair then does not depend on the machine's drift
ACCOUNT = {"email": "benchmark@example.com", "password": "correct horse battery staple"}
SETTINGS = {"RATELIMIT_READ": "999999/hour", "ENABLE_DB_PROFILING": "true"}


def profile_read(app: Any) -> dict[str, Any]:  # noqa: ANN401  # Flask has no types in this environment
    """Create a user; return the WSGI environment of a request for the user's profile."""
    client = app.test_client()
    client.post("/api/v1/auth/register", json={**ACCOUNT, "display_name": "Ada"})
    token = client.post("/api/v1/auth/login", json=ACCOUNT).json["access_token"]
    environ: dict[str, Any] = create_environ(PROFILE_READ.path, headers={"Authorization": f"Bearer {token}"})
    return environ


def cpu_microseconds(app: Any, environ: dict[str, Any]) -> float:  # noqa: ANN401  # see above
    """Return the CPU microseconds per request."""
    start = time.process_time()
    for _ in range(REQUESTS):
        call(app, environ)
    return (time.process_time() - start) / REQUESTS * 1e6


def compare(environment: dict[str, str]) -> None:
    """Measure the service alternately with each variant, and print the ratios with their quartiles."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    subprocess.run(command, env=clean_environment(environment), capture_output=True, check=True)
    service = create_service_app(environment)
    variants = {
        "without rate limits": create_service_app({**environment, "RATELIMIT_ENABLED": "false"}),
        "with Flask-Limiter's own hooks": create_app_with_flask_limiter_hooks(environment),
    }
    environ = profile_read(service)
    with discarded_log():
        for name, variant in variants.items():
            print(f"service / {name}: {compared(service, variant, environ)}")


def compared(service: Any, variant: Any, environ: dict[str, Any]) -> str:  # noqa: ANN401  # see above
    """Return the ratio of the CPU times with its quartiles, and both minima."""
    measures = [partial(cpu_microseconds, app, environ) for app in (service, variant)]
    alternate(measures, 5)  # warm-up
    pairs = alternate(measures, ROUNDS)
    ratio = paired_ratio(pairs, float)
    of_service, of_variant = (min(values) for values in zip(*pairs, strict=True))
    figures = f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    return f"{figures}; minimum {of_service:.0f} and {of_variant:.0f} us"


def main() -> None:
    """Start the servers, measure and print."""
    with (
        tempfile.TemporaryDirectory() as folder,
        start_postgres(max_connections=20) as postgres,
        start_redis() as redis,
    ):
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # read when the service is imported
        compare(production_environment(postgres.create_database("benchmark"), redis.url, **SETTINGS))


if __name__ == "__main__":
    main()
