"""Shows the template at work: bakes a service, installs and serves it, and asks it its first questions.

PORT (8000) is where it is served; with ONCE=1 it stops after the first answers, and exits 0 only if all were good.
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

from baking import BUILD, NotBakedError, bake
from child_group import child_group
from first_requests import LOOPBACK, NotAnsweredError, show_first_requests

DEMO = BUILD / "demo"
LOG = BUILD / "demo.log"
READY_SECONDS = 600  # the first time, the libraries are downloaded in it


@contextmanager
def step(sentence: str) -> Iterator[None]:
    """Print one line for what the block does, with the seconds that it took."""
    start = time.monotonic()
    print(f"{sentence} ... ", end="", flush=True)
    yield
    print(f"{time.monotonic() - start:.1f} s", flush=True)


def wanted_port() -> int:
    """Return the port to serve on, or exit with a sentence if it is none."""
    port = os.environ.get("PORT", "8000")
    if port.isascii() and port.isdigit() and 0 < int(port) < 2**16:
        return int(port)
    sys.exit(f"PORT={port} is no port: a number from 1 to 65535 would be, such as: make demo PORT=8001")


def refuse_busy(port: int) -> None:
    """Exit with a sentence if somebody else has the port, before the minutes that installing takes."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(
                f"Port {port} cannot be used ({error.strerror}). Choose another: make demo PORT={port % 65535 + 1}"
            )


def environment(port: int) -> dict[str, str]:
    """Return this environment without what would turn the demo into something else.

    A DATABASE_URL that somebody has set is for their own service, and make's flags are for the Makefile they were
    typed for.
    """
    settings = set(re.findall(r"^[# ]*([A-Z][A-Z0-9_]*)=", (DEMO / ".env.example").read_text("utf-8"), re.MULTILINE))
    foreign = settings | {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "VIRTUAL_ENV", "VENV", "ONCE"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return kept | {"PORT": str(port), "BIND_ADDRESS": "127.0.0.1"}


def answers(url: str) -> bool:
    """Tell whether `url` is answered with 200 within two seconds."""
    try:
        with LOOPBACK.open(url, timeout=2):
            return True
    except (OSError, http.client.HTTPException):
        return False


def wait_until_ready(service: subprocess.Popen[bytes], url: str) -> None:
    """Return when the service is ready; exit with the end of its log when it stops or takes too long."""
    end = time.monotonic() + READY_SECONDS
    while not answers(url):
        if service.poll() is not None or time.monotonic() > end:
            tail = "\n".join(LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
            sys.exit(f"failed.\nThe service did not start; the end of {LOG.name}:\n{tail}")
        time.sleep(0.2)


def serve(port: int) -> None:
    """Run the baked service until it has shown itself (ONCE=1) or somebody stops it."""
    address = f"http://127.0.0.1:{port}"
    command = ["make", "--no-print-directory", "-C", str(DEMO), "run"]
    with LOG.open("wb") as log, child_group(command, log, env=environment(port)) as service:
        with step("Installing its libraries, migrating a SQLite file, starting (make run; log: build/demo.log)"):
            wait_until_ready(service, f"{address}/ready")
        show_first_requests(address)
        print(f"\nThe API's documentation: {address}/docs", flush=True)
        if os.environ.get("ONCE", "") not in {"", "0"}:
            return
        print(f"The service is in {DEMO.relative_to(Path.cwd())} and serves until Ctrl-C stops it.", flush=True)
        sys.exit(f"The service stopped by itself with status {service.wait()}; see {LOG.name}.")


def run() -> None:
    """Do the steps in order; each failure ends in a sentence."""
    port = wanted_port()
    refuse_busy(port)
    try:
        with step("Baking a service with the default answers into build/demo"):
            bake(DEMO)
        serve(port)
    except (NotBakedError, NotAnsweredError) as error:
        sys.exit(f"failed.\n{error}")


def main() -> None:
    """Run the demo; a request to stop, however it is made, ends the service too and shows no traceback."""
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.default_int_handler)
    try:
        run()
    except KeyboardInterrupt:
        print("\nStopped.")
    except BrokenPipeError:  # whoever read the output has gone, as `make demo | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
