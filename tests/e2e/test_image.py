"""The image contains only what it runs, rejects invalid settings and reports its health correctly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.engine import RESULTS, DockerError, docker, health, wait_for_health, wait_until
from e2e.stack import Stack

PACKAGES = (
    "from importlib.metadata import distributions as d; print(*sorted(f'{x.name.lower()}=={x.version}' for x in d()))"
)
UNWANTED_PROGRAMS = "pip pip3 uv gcc cc g++ make git curl wget pytest ruff mypy"

# A server in place of the service: it returns the status in its argument, or nothing ("silence").
STUB_SERVER = """
import http.server, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if sys.argv[1] == "silence":
            time.sleep(3600)
        self.send_response(int(sys.argv[1]))
        self.end_headers()

http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
SHORT_HEALTH_INTERVALS = ("--health-interval", "1s", "--health-retries", "2", "--health-start-period", "1ms")


def in_image(image: str, *command: str) -> str:
    """Run a command in the image as compose.yaml does: only /tmp is writable."""
    sandbox = ("--read-only", "--tmpfs", "/tmp", "--network", "none")  # noqa: S108  # the container's /tmp
    return docker("run", "--rm", *sandbox, "--entrypoint", command[0], image, *command[1:]).strip()


@contextmanager
def running(*arguments: str) -> Iterator[str]:
    """Run a container in the background while the block runs."""
    container = docker("run", "--detach", *arguments).strip()
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container)


@pytest.mark.req("R1")
def test_image_has_no_compiler_installer_or_test_tool(built_stack: Stack) -> None:
    image = built_stack.image

    assert in_image(image, "sh", "-c", f"command -v {UNWANTED_PROGRAMS} || true") == ""
    assert (
        in_image(image, "sh", "-c", "for m in pip ensurepip setuptools pytest; do python -m $m && echo $m; done; true")
        == ""
    )
    assert in_image(image, "sh", "-c", "ls -A /srv | sort | tr '\\n' ' '").split() == [
        *("__pycache__", "app", "entrypoint.sh", "gunicorn.conf.py", "migrations", "scripts", "wsgi.py"),
    ]


@pytest.mark.req("R1")
@pytest.mark.fault("F26")
def test_image_does_not_depend_on_the_umask(built_stack: Stack, tmp_path: Path) -> None:
    copy = tmp_path / "service"
    shutil.copytree(built_stack.folder, copy, ignore=shutil.ignore_patterns(".git"))
    for path in (copy / "app", copy / "entrypoint.sh", *(copy / "app").rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    image = "cookiecutter-flask-service-umask:e2e"
    docker("build", "--tag", image, str(copy), seconds=900)

    unreadable = in_image(image, "find", "/srv", "!", "-perm", "-o=r", "-print")
    docker("image", "rm", image)

    assert unreadable == ""


@pytest.mark.req("R1")
def test_image_size_and_packages_are_recorded(built_stack: Stack) -> None:
    image = built_stack.image
    libraries = in_image(image, "python", "-c", PACKAGES).split()
    record = {
        "bytes": int(docker("image", "inspect", "--format", "{{.Size}}", image)),
        "python": in_image(image, "python", "--version"),
        "libraries": libraries,
        "system": in_image(image, "dpkg-query", "--show").splitlines(),
    }

    (RESULTS / "image.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    assert {name.partition("==")[0] for name in libraries} >= {"flask", "gunicorn", "celery", "sqlalchemy"}


@pytest.mark.req("R1")
def test_image_has_oci_labels(built_stack: Stack) -> None:
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", built_stack.image))

    values = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert values["title"] == "my-flask-service"
    assert {"description", "vendor", "licenses", "version"} <= {name for name, value in values.items() if value}


@pytest.mark.req("S3")
@pytest.mark.parametrize("role", ["web", "worker", "beat", "migrate"])
def test_role_rejects_production_without_settings(built_stack: Stack, role: str) -> None:
    with pytest.raises(DockerError) as error:
        docker("run", "--rm", "--env", "APP_ENV=production", built_stack.image, role)

    required = ["SECRET_KEY", "JWT_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "MASTER_ENCRYPTION_KEY"]
    assert [name for name in required if f"{name} is not set" not in str(error.value)] == []
    assert "Traceback" not in str(error.value)


@pytest.mark.req("S7")
@pytest.mark.fault("F18")
@pytest.mark.parametrize("role", ["web", "worker", "beat", "migrate"])
def test_one_sigterm_ends_a_role_that_waits_for_the_database(built_stack: Stack, role: str) -> None:
    keys = ("SECRET_KEY", "JWT_SECRET_KEY", "MASTER_ENCRYPTION_KEY")
    settings = {name: built_stack.env_value(name) for name in keys} | {
        "APP_ENV": "production",
        "DATABASE_URL": "postgresql://app:x@127.0.0.1:1/app",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DB_WAIT_SECONDS": "600",
    }
    environment = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    with running("--tty", *environment, built_stack.image, role) as container:  # one output stream
        wait_until(lambda: "waiting for the database" in docker("logs", container), 60, "the role did not wait")

        docker("kill", "--signal", "TERM", container)

        assert docker("wait", container, seconds=20).strip() == "143"


@pytest.mark.req("R1")
@pytest.mark.parametrize(("response", "expected"), [("200", "healthy"), ("500", "unhealthy"), ("silence", "unhealthy")])
def test_health_check_accepts_only_200(built_stack: Stack, response: str, expected: str) -> None:
    with running(
        *SHORT_HEALTH_INTERVALS, "--entrypoint", "python", built_stack.image, "-c", STUB_SERVER, response
    ) as container:
        wait_for_health(container, expected, 30)

        assert health(container) == expected


@pytest.mark.req("R1")
@pytest.mark.parametrize("role", ["worker", "beat"])
@pytest.mark.parametrize(("age", "status"), [("1 second ago", "0"), ("10 minutes ago", "1"), (None, "1")])
def test_worker_and_beat_are_healthy_with_recent_heartbeat(
    built_stack: Stack, role: str, age: str | None, status: str
) -> None:
    touch = f"touch -d '{age}' /tmp/{role}.alive;" if age else ""
    command = f"{touch} python scripts/container_health.py {role} >/dev/null; echo $?"

    assert in_image(built_stack.image, "sh", "-c", command) == status
