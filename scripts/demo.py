"""Bake a service, install it, serve it and send it example requests.

PORT (8000) is the port on 127.0.0.1. With ONCE=1 the demo stops after the example requests; the exit status is 0 only
if all of them succeeded.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bake import BUILD, BakeError, bake
from first_requests import DIRECT_OPENER, RequestFailedError, send_first_requests
from process_group import process_group

DEMO = BUILD / "demo"
LOG = BUILD / "demo.log"
READY_SECONDS = 600  # includes the download of the libraries on the first run


@contextmanager
def progress(message: str) -> Iterator[None]:
    """Print `message`, and the seconds that the block took."""
    start = time.monotonic()
    print(f"{message} ... ", end="", flush=True)
    yield
    print(f"{time.monotonic() - start:.1f} s", flush=True)


def port_from_environment() -> int:
    """Return PORT, or exit with a message if it is invalid."""
    port = os.environ.get("PORT", "8000")
    if port.isascii() and port.isdigit() and 0 < int(port) < 2**16:
        return int(port)
    sys.exit(f"PORT={port} is not a port. Use a number from 1 to 65535: make demo PORT=8001")


def check_port_is_free(port: int) -> None:
    """Exit with a message if the port is in use, before the installation, which takes minutes."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(
                f"Port {port} cannot be used ({error.strerror}). Choose another: make demo PORT={port % 65535 + 1}"
            )


def service_environment(port: int) -> dict[str, str]:
    """Return this process's environment without variables that would change the demo.

    A DATABASE_URL in the user's shell belongs to another service. make's flags belong to the template's Makefile.
    """
    settings = set(re.findall(r"^[# ]*([A-Z][A-Z0-9_]*)=", (DEMO / ".env.example").read_text("utf-8"), re.MULTILINE))
    removed = settings | {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "VIRTUAL_ENV", "VENV", "ONCE"}
    inherited = {name: value for name, value in os.environ.items() if name not in removed}
    return inherited | {"PORT": str(port), "BIND_ADDRESS": "127.0.0.1"}


def responds(url: str) -> bool:
    """Return whether a GET of `url` succeeds within two seconds."""
    try:
        with DIRECT_OPENER.open(url, timeout=2):
            return True
    except (OSError, http.client.HTTPException):
        return False


def wait_until_ready(service: subprocess.Popen[bytes], url: str) -> None:
    """Wait until `url` responds; exit with the end of the log if the service stops or READY_SECONDS pass."""
    deadline = time.monotonic() + READY_SECONDS
    while not responds(url):
        if service.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
            sys.exit(f"failed.\nThe service did not start. End of {LOG.name}:\n{tail}")
        time.sleep(0.2)


def serve(port: int) -> None:
    """Run the baked service until the example requests are done (ONCE=1) or the user stops it."""
    url = f"http://127.0.0.1:{port}"
    command = ["make", "--no-print-directory", "-C", str(DEMO), "run"]
    with LOG.open("wb") as log, process_group(command, log, env=service_environment(port)) as service:
        with progress("Installing libraries, migrating a SQLite file, starting (make run; log: build/demo.log)"):
            wait_until_ready(service, f"{url}/ready")
        send_first_requests(url)
        print(f"\nAPI documentation: {url}/docs", flush=True)
        if os.environ.get("ONCE", "") not in {"", "0"}:
            return
        print(f"The service in {DEMO.relative_to(Path.cwd())} is running. Press Ctrl-C to stop it.", flush=True)
        sys.exit(f"The service stopped with status {service.wait()}; see {LOG.name}.")


def run() -> None:
    """Run all steps; exit with a message if one fails."""
    port = port_from_environment()
    check_port_is_free(port)
    try:
        with progress("Baking a service with the default answers into build/demo"):
            bake(DEMO)
        serve(port)
    except (BakeError, RequestFailedError) as error:
        sys.exit(f"failed.\n{error}")


def main() -> None:
    """Run the demo; SIGINT, SIGTERM and SIGHUP stop the service too and print no traceback."""
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        run()
    except KeyboardInterrupt:
        print("\nStopped.")
    except BrokenPipeError:  # the reader of the output has exited, as in `make demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
