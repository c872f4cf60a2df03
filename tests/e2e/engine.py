"""Run docker commands, inspect containers and inject faults into their processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bake import BUILD
from conftest import clean_environment

RESULTS = BUILD / "e2e"  # measurements and container logs of a run


class DockerError(Exception):
    """A docker command failed; the message contains the command and its output."""


def docker(
    *arguments: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    seconds: float = 120,
) -> str:
    """Run a docker command and return its standard output; raise DockerError if its status is not 0."""
    result = subprocess.run(
        ["docker", *arguments],
        cwd=cwd,
        env=clean_environment(**(env or {})),
        input=stdin if stdin is not None else b"",
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    output = result.stdout.decode(errors="replace")
    if result.returncode:
        details = f"{output[-4000:]}\n{result.stderr.decode(errors='replace')[-4000:]}"
        message = f"docker {' '.join(arguments)} exited with status {result.returncode}:\n{details}"
        raise DockerError(message)
    return output


def wait_until(condition: Callable[[], bool], seconds: float, failure: str) -> float:
    """Wait for `condition` and return the seconds it took; fail with the message `failure` after `seconds`."""
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        assert waited < seconds, f"{failure} within {seconds:g} s"
        time.sleep(0.5)
    return time.monotonic() - start


def inspect(container: str, template: str) -> str:
    """Return the output of `docker inspect --format`."""
    return docker("inspect", "--format", template, container).strip()


def health(container: str) -> str:
    """Return `starting`, `healthy`, `unhealthy` or `stopped`."""
    return inspect(container, "{{if .State.Running}}{{.State.Health.Status}}{{else}}stopped{{end}}")


def wait_for_health(container: str, wanted: str, seconds: float) -> float:
    """Wait until a container's health is `wanted`, and return the seconds it took."""
    health_log = "{{range .State.Health.Log}}{{.Output}}{{end}}"
    failure = f"{inspect(container, '{{.Name}}')} did not become {wanted}: {inspect(container, health_log)}"
    return wait_until(lambda: health(container) == wanted, seconds, failure)


def signal_processes(image: str, signal: str, processes: list[str]) -> None:
    """Signal processes of containers from outside.

    Not `docker kill`: the engine treats that as an intended stop and does not restart the container. After the
    first one, processes that have ended meanwhile, such as those of health checks, are skipped.
    """
    first, *others = processes
    skipping = "".join(f"; kill -{signal} {process} || true" for process in others)
    command = f"set -e; kill -{signal} {first}{skipping}"
    docker("run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "sh", image, "-c", command)


def kill_container(image: str, container: str) -> None:
    """Kill a container's first process, which ends all its processes at once."""
    signal_processes(image, "KILL", [inspect(container, "{{.State.Pid}}")])


def container_pids(container: str) -> list[str]:
    """Return the process ids of a container in the host's PID namespace."""
    return docker("top", container, "-eo", "pid").split()[1:]
