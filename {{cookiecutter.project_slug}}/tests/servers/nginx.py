"""The shipped nginx configuration, in front of a service on 127.0.0.1."""

import contextlib
import os
import signal
import socket
from pathlib import Path

from .binaries import find_nginx
from .server import Server

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "nginx" / "nginx.conf"


class NginxServer(Server):
    """nginx with the shipped configuration: only addresses and folders differ.

    `changes` replaces other texts of the configuration.
    """

    name = "nginx"
    quick_signal = signal.SIGTERM  # SIGKILL would leave the worker processes

    def __init__(self, service_port: int, changes: dict[str, str]) -> None:
        super().__init__()
        self._program = find_nginx()
        self._service_port, self._changes = service_port, changes
        (self.folder / "logs").mkdir()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        types = self.folder / "mime.types"
        types.write_text("types { }\n")
        replacements = {
            "include /etc/nginx/mime.types;": f"include {types};",
            "listen 8080 default_server;": f"listen 127.0.0.1:{self.port} default_server;",
            "resolver 127.0.0.11 valid=1s ipv6=off;": "",
            "set $web web:8000;": f"set $web 127.0.0.1:{self._service_port};",
            "/dev/stdout": f"{self.folder}/access.log",
            **self._changes,
            "/tmp/": f"{self.folder}/",  # last, because the folder may be below /tmp
        }
        text = CONFIGURATION.read_text()
        for old, new in replacements.items():
            if old not in text:
                raise ValueError(f"nginx.conf does not contain {old!r}")
            text = text.replace(old, new.replace("/tmp/", "\0"))
        user = "user root;\n" if os.geteuid() == 0 else ""  # nginx's own account cannot read this folder
        settings = self.folder / "nginx.conf"
        settings.write_text(user + text.replace("\0", "/tmp/"))
        return [str(self._program), "-p", str(self.folder), "-c", str(settings), "-g", "daemon off;"]

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False


def start_nginx(service_port: int, **changes: str) -> NginxServer:
    """Start nginx in front of a service on this port; `changes` replaces texts of the configuration."""
    return NginxServer(service_port, changes).start_on_a_free_port()
