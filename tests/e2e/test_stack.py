"""`docker compose up` in a fresh bake starts a working service."""

from __future__ import annotations

import shutil
from base64 import b64encode
from pathlib import Path

import pytest

from e2e.client import Client
from e2e.engine import DockerError, docker, health, inspect, wait_until
from e2e.stack import Stack

ROLES = ("web", "worker", "beat", "flower")
TASK_SECONDS = 20
PROMETHEUS = "prom/prometheus:v3.5.0"
GRACEFUL_SHUTDOWN_SECONDS = 5 + 65  # DRAIN_SECONDS and GUNICORN_GRACEFUL_TIMEOUT

GET_SCRIPT = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
print(urllib.request.urlopen(request).read().decode())
"""


def get_inside(stack: Stack, path: str) -> str:
    """GET a path of a web container from the internal network, with the operators' token."""
    token = stack.env_value("METRICS_TOKEN")
    return stack.exec("worker", "python", "-c", GET_SCRIPT, f"http://web:8000{path}", token)


@pytest.mark.req("R2")
def test_every_service_is_healthy(stack: Stack) -> None:
    assert stack.services() == ["beat", "flower", "nginx", "postgres", "redis", "web", "worker"]

    states = {service: [health(c) for c in stack.containers(service)] for service in stack.services()}

    assert states == {service: ["healthy"] * (3 if service == "web" else 1) for service in stack.services()}


@pytest.mark.req("R2", "D4")
def test_migration_ran_once_with_status_0(stack: Stack) -> None:
    (container,) = stack.compose("ps", "--all", "--quiet", "migrate").split()

    assert inspect(container, "{{.State.Status}} {{.State.ExitCode}}") == "exited 0"
    assert stack.sql("SELECT count(*) FROM alembic_version") == "1"


@pytest.mark.req("R2", "A3")
def test_locations_are_saved_and_listed_through_the_proxy(user_api: Client) -> None:
    saved = user_api.post("/api/v1/locations", {"latitude": 48.2082, "longitude": 16.3738})
    batch = user_api.post("/api/v1/locations/batch", {"locations": [{"latitude": n, "longitude": n} for n in range(3)]})
    listed = user_api.get("/api/v1/locations")

    assert (saved.status, batch.status, listed.status) == (201, 201, 200)
    assert batch.json() == {"accepted": 3}
    assert 48.2082 in [item["latitude"] for item in listed.json()["items"]]


@pytest.mark.req("W1")
def test_worker_stores_login_time(stack: Stack, user_api: Client) -> None:
    del user_api
    all_stored = "SELECT bool_and(last_login_at IS NOT NULL) FROM users"

    wait_until(lambda: stack.sql(all_stored) == "t", TASK_SECONDS, "accounts.record_login did not run")


@pytest.mark.req("S8", "W1")
def test_detailed_health_reports_worker_heartbeat(stack: Stack) -> None:
    body = get_inside(stack, "/health/detailed")

    assert '"status":"ready"' in body
    assert '"at_head":true' in body
    assert '"heartbeat_age_s":null' not in body


@pytest.mark.req("O1")
def test_metrics_are_available_inside(stack: Stack) -> None:
    body = get_inside(stack, "/metrics")

    assert 'http_requests_total{endpoint="/health",method="GET",status="200"}' in body


@pytest.mark.req("O1")
def test_promtool_accepts_the_metrics(stack: Stack) -> None:
    body = get_inside(stack, "/metrics").encode()

    docker("run", "--rm", "--interactive", "--entrypoint", "promtool", PROMETHEUS, "check", "metrics", stdin=body)


@pytest.mark.req("S7")
@pytest.mark.parametrize(
    ("role", "program"), [("web", "gunicorn"), ("worker", "celery"), ("beat", "celery"), ("flower", "celery")]
)
def test_role_program_is_a_child_of_the_entrypoint(stack: Stack, role: str, program: str) -> None:
    """Process 1 is `entrypoint.sh`, which passes signals on."""
    children = stack.exec(role, "cat", "/proc/1/task/1/children").split()
    commands = [stack.exec(role, "cat", f"/proc/{pid}/cmdline").split("\0") for pid in children]

    assert any(command[1].endswith(f"/{program}") for command in commands), commands


@pytest.mark.req("R1")
@pytest.mark.parametrize("role", ROLES)
def test_role_is_unprivileged_and_writes_only_tmp(stack: Stack, role: str) -> None:
    attempt = (
        "id -u; touch /srv/app/x /etc/x /opt/venv/x 2>&1 | grep -c Read-only; touch /tmp/x && rm /tmp/x && echo tmp"
    )

    assert stack.exec(role, "sh", "-c", attempt).split() == ["10001", "3", "tmp"]


@pytest.mark.req("R2")
def test_containers_have_no_capabilities_and_only_proxy_is_public(stack: Stack) -> None:
    facts = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.CapAdd}}"
    ports = "{{range $port, $bound := .NetworkSettings.Ports}}{{range $bound}}{{.HostIp}} {{end}}{{end}}"
    services = {container: service for service in stack.services() for container in stack.containers(service)}

    assert {inspect(container, facts) for container in services} == {"true [ALL] [no-new-privileges:true] []"}
    addresses = {service: inspect(container, ports).split() for container, service in services.items()}
    assert {service for service, bound in addresses.items() if set(bound) - {"127.0.0.1"}} == {"nginx"}


@pytest.mark.req("R2")
def test_resource_limits_and_log_rotation_are_set(stack: Stack) -> None:
    log = '{{index .HostConfig.LogConfig.Config "max-file"}} x {{index .HostConfig.LogConfig.Config "max-size"}}'
    facts = "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} " + log
    limits = {
        "web": (2, 2048),
        "worker": (1, 1024),
        "beat": (0.25, 256),
        "flower": (0.25, 256),
        "postgres": (1, 1024),
        "redis": (0.5, 512),
    }

    found = {service: inspect(stack.containers(service)[0], facts) for service in limits}

    assert found == {name: f"{int(cpu * 1e9)} {mb * 2**20} 5 x 10m" for name, (cpu, mb) in limits.items()}


@pytest.mark.req("R2", "S6")
def test_web_stop_timeout_exceeds_graceful_shutdown(stack: Stack) -> None:
    for container in stack.containers("web"):
        assert int(inspect(container, "{{.Config.StopTimeout}}")) > GRACEFUL_SHUTDOWN_SECONDS


@pytest.mark.req("W1")
def test_flower_requires_its_password(stack: Stack) -> None:
    login = b64encode(f"flower:{stack.env_value('FLOWER_PASSWORD')}".encode()).decode()
    flower = Client(stack.flower_port)

    assert flower.get("/workers").status == 401
    assert flower.get("/workers", {"Authorization": f"Basic {login}"}).status == 200


@pytest.mark.req("W2")
def test_redis_persists_the_queue_and_requires_password(stack: Stack) -> None:
    for setting, value in (("appendonly", "yes"), ("maxmemory-policy", "noeviction")):
        assert stack.exec("redis", "redis-cli", "config", "get", setting).split() == [setting, value]
    assert "NOAUTH" in stack.exec("redis", "sh", "-c", "env -u REDISCLI_AUTH redis-cli ping 2>&1")


@pytest.mark.req("R2", "S3")
@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD", "REDIS_PASSWORD"])
def test_compose_rejects_missing_password_with_instructions(stack: Stack, tmp_path: Path, name: str) -> None:
    shutil.copy(stack.folder / "compose.yaml", tmp_path)
    lines = (stack.folder / ".env").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / ".env").write_text("".join(line for line in lines if not line.startswith(f"{name}=")), encoding="utf-8")

    with pytest.raises(DockerError, match=f"{name} is missing a value: set it in .env.*make .env"):
        docker("compose", "config", "--quiet", cwd=tmp_path)
