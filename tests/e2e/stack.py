"""A baked service's own compose.yaml, brought up as its documentation says."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from e2e.engine import RECORDS, DockerError, docker

BUILD_SECONDS = 1200  # the images' libraries may have to be downloaded
UP_SECONDS = 300


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """The containers of the service in `folder`, under a project and an image tag of their own."""

    def __init__(self, folder: Path) -> None:
        """Choose names and a port; nothing is started."""
        self.folder = folder
        self.port, self.flower_port = free_port(), free_port()
        self.image = f"{folder.name}:e2e"
        ports = {"HTTP_PORT": str(self.port), "FLOWER_PORT": str(self.flower_port)}
        ports |= {name: str(free_port()) for name in ("PROMETHEUS_PORT", "ALERTMANAGER_PORT")}
        self._env = ports | {"IMAGE_TAG": "e2e", "COMPOSE_PROJECT_NAME": f"e2e-{os.getpid()}"}

    def compose(self, *arguments: str, seconds: float = 120) -> str:
        """Run a compose command on the stack, and return what it printed."""
        return docker("compose", "--ansi", "never", *arguments, cwd=self.folder, env=self._env, seconds=seconds)

    def build(self) -> None:
        """Build the service's image."""
        self.compose("build", seconds=BUILD_SECONDS)

    def up(self) -> None:
        """Start everything, and wait until all of it is healthy."""
        try:
            self.compose("up", "--detach", "--wait", "--wait-timeout", str(UP_SECONDS), seconds=UP_SECONDS + 60)
        except DockerError as error:
            error.add_note(self.compose("logs", "--no-color", "--tail", "40"))
            raise

    def down(self) -> None:
        """Keep the logs, and remove containers, networks and data."""
        logs = self.compose("logs", "--no-color", "--timestamps").replace("\x1b[2K", "")
        (RECORDS / "stack.log").write_text(logs, encoding="utf-8")
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10", seconds=300)

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).split()

    def services(self) -> list[str]:
        """Return the names of the services, the one-shot migration aside."""
        return sorted(set(self.compose("config", "--services").split()) - {"migrate"})

    def execute(self, service: str, *command: str) -> str:
        """Run a command in the first container of a service."""
        return self.compose("exec", "-T", service, *command)

    def sql(self, statement: str) -> str:
        """Ask the database, and return the bare values."""
        return self.execute("postgres", "psql", "-U", "app", "-d", "app", "-tAc", statement).strip()

    def setting(self, name: str) -> str:
        """Return a value from the bake's own .env."""
        found = re.search(f"^{name}=(.*)$", (self.folder / ".env").read_text(encoding="utf-8"), re.MULTILINE)
        assert found, f"{name} is not in .env"
        return found[1]
