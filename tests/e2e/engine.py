"""The Docker engine: running its commands, looking at containers, and doing to their processes what a fault would."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from baking import BUILD
from conftest import plain_environment

RECORDS = BUILD / "e2e"  # what a run measured, and the logs of its containers


class DockerError(Exception):
    """A docker command failed; the text is the command and what it said."""


def docker(
    *arguments: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    seconds: float = 120,
) -> str:
    """Run a docker command that has to succeed, and return its standard output."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=cwd,
        env=plain_environment(**(env or {})),
        input=stdin if stdin is not None else b"",
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    if done.returncode:
        complaint = f"{said[-4000:]}\n{done.stderr.decode(errors='replace')[-4000:]}"
        message = f"docker {' '.join(arguments)} ended with status {done.returncode}:\n{complaint}"
        raise DockerError(message)
    return said


def wait_until(condition: Callable[[], bool], seconds: float, failure: str) -> float:
    """Wait for `condition` and return the seconds that took; fail with a sentence when it is not met in time."""
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        assert waited < seconds, f"{failure} within {seconds:g} s"
        time.sleep(0.5)
    return time.monotonic() - start


def inspect(container: str, template: str) -> str:
    """Return one fact about a container, by a template of `docker inspect`."""
    return docker("inspect", "--format", template, container).strip()


def health(container: str) -> str:
    """Return `starting`, `healthy` or `unhealthy`."""
    return inspect(container, "{{if .State.Running}}{{.State.Health.Status}}{{else}}stopped{{end}}")


def wait_for_health(container: str, wanted: str, seconds: float) -> float:
    """Wait until a container is `wanted`, and return the seconds that took."""
    last_words = "{{range .State.Health.Log}}{{.Output}}{{end}}"
    failure = f"{inspect(container, '{{.Name}}')} did not become {wanted}: {inspect(container, last_words)}"
    return wait_until(lambda: health(container) == wanted, seconds, failure)


def signal_processes(image: str, signal: str, processes: list[str]) -> None:
    """Signal processes of containers from outside.

    `docker kill` would not do: the engine takes it for a stop that somebody wants, and does not restart the container.
    """
    command = f"kill -{signal} {' '.join(processes)}"
    docker("run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "sh", image, "-c", command)


def crash(image: str, container: str) -> None:
    """End a container's first process, and so all of them, in an instant."""
    signal_processes(image, "KILL", [inspect(container, "{{.State.Pid}}")])


def processes_of(container: str) -> list[str]:
    """Return the process ids of a container, as the engine's machine counts them."""
    return docker("top", container, "-eo", "pid").split()[1:]
