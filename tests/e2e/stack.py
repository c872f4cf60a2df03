"""The container stack of a baked service, started as its documentation describes."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from e2e.engine import RESULTS, DockerError, docker

BUILD_SECONDS = 1200  # includes the download of the libraries
UP_SECONDS = 300


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """The containers of the service in `folder`, with their own compose project and image tag."""

    def __init__(self, folder: Path) -> None:
        """Choose names and ports; nothing is started."""
        self.folder = folder
        self.port, self.flower_port = free_port(), free_port()
        self.image = f"{folder.name}:e2e"
        ports = {"HTTP_PORT": str(self.port), "FLOWER_PORT": str(self.flower_port)}
        ports |= {name: str(free_port()) for name in ("PROMETHEUS_PORT", "ALERTMANAGER_PORT")}
        self._env = ports | {"IMAGE_TAG": "e2e", "COMPOSE_PROJECT_NAME": f"e2e-{os.getpid()}"}

    def compose(self, *arguments: str, seconds: float = 120, **settings: str) -> str:
        """Run a compose command on the stack, with further settings, and return its output."""
        env = self._env | settings
        return docker("compose", "--ansi", "never", *arguments, cwd=self.folder, env=env, seconds=seconds)

    def build(self) -> None:
        """Build the service's image."""
        self.compose("build", seconds=BUILD_SECONDS)

    def up(self) -> None:
        """Start all containers and wait until they are healthy."""
        try:
            self.compose("up", "--detach", "--wait", "--wait-timeout", str(UP_SECONDS), seconds=UP_SECONDS + 60)
        except DockerError as error:
            error.add_note(self.compose("logs", "--no-color", "--tail", "40"))
            raise

    def down(self) -> None:
        """Save the logs, then remove containers, networks and volumes."""
        logs = self.compose("logs", "--no-color", "--timestamps").replace("\x1b[2K", "")
        (RESULTS / "stack.log").write_text(logs, encoding="utf-8")
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10", seconds=300)

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).split()

    def services(self) -> list[str]:
        """Return the names of the services, without the one-shot `migrate`."""
        return sorted(set(self.compose("config", "--services").split()) - {"migrate"})

    def exec(self, service: str, *command: str) -> str:
        """Run a command in the first container of a service."""
        return self.compose("exec", "-T", service, *command)

    def sql(self, statement: str) -> str:
        """Run a statement in PostgreSQL and return the values without headers."""
        return self.exec("postgres", "psql", "-U", "app", "-d", "app", "-tAc", statement).strip()

    def env_value(self, name: str) -> str:
        """Return a value from the bake's .env."""
        found = re.search(f"^{name}=(.*)$", (self.folder / ".env").read_text(encoding="utf-8"), re.MULTILINE)
        assert found, f"{name} is not in .env"
        return found[1]
