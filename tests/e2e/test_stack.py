"""`docker compose up` of a fresh bake, with its own .env, is a working service."""

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
GRACE_SECONDS = 5 + 65  # DRAIN_SECONDS and GUNICORN_GRACEFUL_TIMEOUT

ASK_INSIDE = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
print(urllib.request.urlopen(request).read().decode())
"""


def ask_inside(stack: Stack, path: str) -> str:
    """Ask a web container from the network behind the proxy, as the operators."""
    token = stack.setting("METRICS_TOKEN")
    return stack.execute("worker", "python", "-c", ASK_INSIDE, f"http://web:8000{path}", token)


@pytest.mark.req("R2")
def test_every_service_is_healthy(stack: Stack) -> None:
    assert stack.services() == ["beat", "flower", "nginx", "postgres", "redis", "web", "worker"]

    states = {service: [health(c) for c in stack.containers(service)] for service in stack.services()}

    assert states == {service: ["healthy"] * (3 if service == "web" else 1) for service in stack.services()}


@pytest.mark.req("R2", "D4")
def test_the_migration_ran_once_and_ended_well(stack: Stack) -> None:
    (container,) = stack.compose("ps", "--all", "--quiet", "migrate").split()

    assert inspect(container, "{{.State.Status}} {{.State.ExitCode}}") == "exited 0"
    assert stack.sql("SELECT count(*) FROM alembic_version") == "1"


@pytest.mark.req("R2", "A3")
def test_locations_are_saved_and_listed_through_the_proxy(ada: Client) -> None:
    saved = ada.post("/api/v1/locations", {"latitude": 48.2082, "longitude": 16.3738})
    batch = ada.post("/api/v1/locations/batch", {"locations": [{"latitude": n, "longitude": n} for n in range(3)]})
    listed = ada.get("/api/v1/locations")

    assert (saved.status, batch.status, listed.status) == (201, 201, 200)
    assert batch.json() == {"accepted": 3}
    assert 48.2082 in [item["latitude"] for item in listed.json()["items"]]


@pytest.mark.req("W1")
def test_the_worker_noted_the_login(stack: Stack, ada: Client) -> None:
    del ada
    noted = "SELECT bool_and(last_login_at IS NOT NULL) FROM users"

    wait_until(lambda: stack.sql(noted) == "t", TASK_SECONDS, "accounts.note_login did not run")


@pytest.mark.req("S8", "W1")
def test_the_detailed_health_tells_of_a_beating_worker_inside(stack: Stack) -> None:
    told = ask_inside(stack, "/health/detailed")

    assert '"status":"ready"' in told
    assert '"at_head":true' in told
    assert '"heartbeat_age_s":null' not in told


@pytest.mark.req("O1")
def test_the_metrics_can_be_had_inside(stack: Stack) -> None:
    told = ask_inside(stack, "/metrics")

    assert 'http_requests_total{endpoint="/health",method="GET",status="200"}' in told


@pytest.mark.req("O1")
def test_prometheus_finds_nothing_to_complain_of_in_the_metrics(stack: Stack) -> None:
    told = ask_inside(stack, "/metrics").encode()

    docker("run", "--rm", "--interactive", "--entrypoint", "promtool", PROMETHEUS, "check", "metrics", stdin=told)


@pytest.mark.req("S7")
@pytest.mark.parametrize(
    ("role", "program"), [("web", "gunicorn"), ("worker", "celery"), ("beat", "celery"), ("flower", "celery")]
)
def test_the_first_process_of_a_container_is_the_role_itself(stack: Stack, role: str, program: str) -> None:
    command = stack.execute(role, "cat", "/proc/1/cmdline").split("\0")

    assert command[1].endswith(f"/{program}")


@pytest.mark.req("R1")
@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_nobody_and_can_write_nothing_but_tmp(stack: Stack, role: str) -> None:
    attempt = (
        "id -u; touch /srv/app/x /etc/x /opt/venv/x 2>&1 | grep -c Read-only; touch /tmp/x && rm /tmp/x && echo tmp"
    )

    assert stack.execute(role, "sh", "-c", attempt).split() == ["10001", "3", "tmp"]


@pytest.mark.req("R2")
def test_no_container_may_gain_a_right_and_only_the_proxy_is_reached_from_other_machines(stack: Stack) -> None:
    facts = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.CapAdd}}"
    ports = "{{range $port, $bound := .NetworkSettings.Ports}}{{range $bound}}{{.HostIp}} {{end}}{{end}}"
    every = {container: service for service in stack.services() for container in stack.containers(service)}

    assert {inspect(container, facts) for container in every} == {"true [ALL] [no-new-privileges:true] []"}
    reached = {service: inspect(container, ports).split() for container, service in every.items()}
    assert {service for service, addresses in reached.items() if set(addresses) - {"127.0.0.1"}} == {"nginx"}


@pytest.mark.req("R2")
def test_limits_and_log_rotation_are_in_force(stack: Stack) -> None:
    log = '{{index .HostConfig.LogConfig.Config "max-file"}} x {{index .HostConfig.LogConfig.Config "max-size"}}'
    facts = "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} " + log
    wanted = {
        "web": (2, 2048),
        "worker": (1, 1024),
        "beat": (0.25, 256),
        "flower": (0.25, 256),
        "postgres": (1, 1024),
        "redis": (0.5, 512),
    }

    found = {service: inspect(stack.containers(service)[0], facts) for service in wanted}

    assert found == {name: f"{int(cpu * 1e9)} {mb * 2**20} 5 x 10m" for name, (cpu, mb) in wanted.items()}


@pytest.mark.req("R2", "S6")
def test_web_is_given_time_to_finish(stack: Stack) -> None:
    for container in stack.containers("web"):
        assert int(inspect(container, "{{.Config.StopTimeout}}")) > GRACE_SECONDS


@pytest.mark.req("W1")
def test_flower_asks_for_its_password(stack: Stack) -> None:
    login = b64encode(f"flower:{stack.setting('FLOWER_PASSWORD')}".encode()).decode()
    flower = Client(stack.flower_port)

    assert flower.get("/workers").status == 401
    assert flower.get("/workers", {"Authorization": f"Basic {login}"}).status == 200


@pytest.mark.req("W2")
def test_redis_keeps_the_queue(stack: Stack) -> None:
    for setting, value in (("appendonly", "yes"), ("maxmemory-policy", "noeviction")):
        assert stack.execute("redis", "redis-cli", "config", "get", setting).split() == [setting, value]
    assert "NOAUTH" in stack.execute("redis", "sh", "-c", "env -u REDISCLI_AUTH redis-cli ping 2>&1")


@pytest.mark.req("R2", "S3")
@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "REDIS_PASSWORD"])
def test_compose_refuses_without_a_password_and_says_what_to_do(stack: Stack, tmp_path: Path, name: str) -> None:
    shutil.copy(stack.folder / "compose.yaml", tmp_path)
    lines = (stack.folder / ".env").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / ".env").write_text("".join(line for line in lines if not line.startswith(f"{name}=")), encoding="utf-8")

    with pytest.raises(DockerError, match=f"{name} is missing a value: set it in .env.*make .env"):
        docker("compose", "config", "--quiet", cwd=tmp_path)
