"""The image holds what runs in it and no more, refuses a bad environment, and knows when it does not work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.engine import RECORDS, DockerError, docker, health, wait_for_health
from e2e.stack import Stack

PACKAGES = (
    "from importlib.metadata import distributions as d; print(*sorted(f'{x.name.lower()}=={x.version}' for x in d()))"
)
UNWANTED = "pip pip3 uv gcc cc g++ make git curl wget pytest ruff mypy"

# Instead of the service: something that listens where it would, and answers as told.
STUB = """
import http.server, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if sys.argv[1] == "silence":
            time.sleep(3600)
        self.send_response(int(sys.argv[1]))
        self.end_headers()

http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
QUICK = ("--health-interval", "1s", "--health-retries", "2", "--health-start-period", "1ms")


def in_image(image: str, *command: str) -> str:
    """Run a command in the image as compose.yaml would: nothing but /tmp can be written."""
    sandbox = ("--read-only", "--tmpfs", "/tmp", "--network", "none")  # noqa: S108 - the container's
    return docker("run", "--rm", *sandbox, "--entrypoint", command[0], image, *command[1:]).strip()


@contextmanager
def running(*arguments: str) -> Iterator[str]:
    """Run a container in the background for the block."""
    container = docker("run", "--detach", *arguments).strip()
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container)


@pytest.mark.req("R1")
def test_the_image_has_no_compiler_no_installer_and_no_test_tool(stopped_stack: Stack) -> None:
    image = stopped_stack.image

    assert in_image(image, "sh", "-c", f"command -v {UNWANTED} || true") == ""
    assert (
        in_image(image, "sh", "-c", "for m in pip ensurepip setuptools pytest; do python -m $m && echo $m; done; true")
        == ""
    )
    assert in_image(image, "sh", "-c", "ls -A /srv | sort | tr '\\n' ' '").split() == [
        *("__pycache__", "app", "entrypoint.sh", "gunicorn.conf.py", "migrations", "scripts", "wsgi.py"),
    ]


@pytest.mark.req("R1")
def test_size_and_packages_of_the_image_are_recorded(stopped_stack: Stack) -> None:
    image = stopped_stack.image
    libraries = in_image(image, "python", "-c", PACKAGES).split()
    record = {
        "bytes": int(docker("image", "inspect", "--format", "{{.Size}}", image)),
        "python": in_image(image, "python", "--version"),
        "libraries": libraries,
        "system": in_image(image, "dpkg-query", "--show").splitlines(),
    }

    (RECORDS / "image.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    assert {name.partition("==")[0] for name in libraries} >= {"flask", "gunicorn", "celery", "sqlalchemy"}


@pytest.mark.req("R1")
def test_the_image_says_what_it_is(stopped_stack: Stack) -> None:
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", stopped_stack.image))

    named = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert named["title"] == "my-flask-service"
    assert {"description", "vendor", "licenses", "version"} <= {name for name, value in named.items() if value}


@pytest.mark.req("S3")
@pytest.mark.parametrize("role", ["web", "worker", "beat", "migrate"])
def test_every_role_refuses_to_start_in_production_without_its_settings(stopped_stack: Stack, role: str) -> None:
    with pytest.raises(DockerError) as refusal:
        docker("run", "--rm", "--env", "APP_ENV=production", stopped_stack.image, role)

    needed = ["SECRET_KEY", "JWT_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "MASTER_ENCRYPTION_KEY"]
    assert [name for name in needed if f"{name} is not set" not in str(refusal.value)] == []
    assert "Traceback" not in str(refusal.value)


@pytest.mark.req("R1")
@pytest.mark.parametrize(("answers", "verdict"), [("200", "healthy"), ("500", "unhealthy"), ("silence", "unhealthy")])
def test_the_health_check_believes_a_200_alone(stopped_stack: Stack, answers: str, verdict: str) -> None:
    with running(*QUICK, "--entrypoint", "python", stopped_stack.image, "-c", STUB, answers) as container:
        wait_for_health(container, verdict, 30)

        assert health(container) == verdict


@pytest.mark.req("R1")
@pytest.mark.parametrize("role", ["worker", "beat"])
@pytest.mark.parametrize(("age", "status"), [("1 second ago", "0"), ("10 minutes ago", "1"), (None, "1")])
def test_a_worker_or_beat_is_believed_while_its_sign_is_fresh(
    stopped_stack: Stack, role: str, age: str | None, status: str
) -> None:
    touch = f"touch -d '{age}' /tmp/{role}.alive;" if age else ""
    command = f"{touch} python scripts/container_health.py {role} >/dev/null; echo $?"

    assert in_image(stopped_stack.image, "sh", "-c", command) == status
