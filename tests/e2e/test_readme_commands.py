"""The README's two commands on a machine that has nothing but Python with venv, make and git."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from baking import ROOT

from e2e.engine import RECORDS, docker

IMAGE = "cookiecutter-flask-service-bare:e2e"
DOCKERFILE = b"""
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv make git ca-certificates
RUN useradd --create-home --uid 1000 somebody
USER somebody
WORKDIR /home/somebody/template
"""
HOME = "/home/somebody"
BUNDLE = f"{HOME}/certificates.pem"
# A network may answer with certificates of its own, or reach packages elsewhere: what this machine was told of that.
CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
ROUTES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "http_proxy", "https_proxy", "no_proxy")
COMMAND_SECONDS = 3000
# What can tell one machine from another: the servers that are found or brought along, and programs that a user runs.
# The other parts of the service's tests go alike on every machine.
PARTS = (
    "tests/servers tests/accounts tests/test_migrations.py tests/running/test_worker.py tests/running/test_readme.py"
)


def repository() -> list[str]:
    """Return the files of a fresh clone, and those that are about to be committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def as_somebody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 1000
    return info


def archive(files: dict[str, Path]) -> bytes:
    """Pack files under new names, as the container's user's own."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, path in sorted(files.items()):
            tar.add(path, name, filter=as_somebody)
    return packed.getvalue()


def bundle() -> Path | None:
    """Return the certificates that this machine was told to trust, if any."""
    named = [os.environ[name] for name in CERTIFICATES if os.environ.get(name)]
    return Path(named[0]) if named and Path(named[0]).is_file() else None


def variables() -> list[str]:
    """Return the container's environment, as options of docker."""
    told = {name: os.environ[name] for name in ROUTES if os.environ.get(name)}
    told |= dict.fromkeys(CERTIFICATES, BUNDLE) if bundle() else {}
    return [word for name, value in told.items() for word in ("--env", f"{name}={value}")]


@pytest.fixture(scope="module")
def machine() -> Iterator[str]:
    """A container that sleeps, with a copy of the repository in an ordinary user's home."""
    (RECORDS / "bare.log").unlink(missing_ok=True)
    docker("build", "--tag", IMAGE, "-", stdin=DOCKERFILE, seconds=600)
    container = docker("run", "--detach", "--init", *variables(), IMAGE, "sleep", "infinity").strip()
    try:
        files = {f"template/{name}": ROOT / name for name in repository()}
        files |= {Path(BUNDLE).name: found.resolve() for found in [bundle()] if found}
        docker("cp", "--archive", "-", f"{container}:{HOME}", stdin=archive(files))
        yield container
    finally:
        docker("rm", "--force", "--volumes", container)


def run_there(container: str, command: str) -> None:
    """Run a command there; what it prints goes to a log as it comes, and its end into the failure."""
    log = RECORDS / "bare.log"
    with log.open("ab") as output:
        output.write(f"\n$ {command}\n".encode())
        output.flush()
        words = ["docker", "exec", container, "sh", "-c", command]
        done = subprocess.run(words, stdout=output, stderr=subprocess.STDOUT, timeout=COMMAND_SECONDS, check=False)
    assert done.returncode == 0, f"{command} ended with status {done.returncode}:\n{log.read_text('utf-8')[-6000:]}"


@pytest.mark.req("T6")
def test_the_machine_is_as_bare_as_it_should_be(machine: str) -> None:
    run_there(
        machine, "test $(id -u) = 1000 && test ! -e ~/.cache && ! command -v pip gcc docker psql redis-server node"
    )


@pytest.mark.req("T6")
def test_the_demo_answers_its_first_request(machine: str) -> None:
    run_there(machine, "make demo ONCE=1")


@pytest.mark.req("T6")
def test_the_tests_pass(machine: str) -> None:
    """Those of the first commit and of the default bake, and of the latter the parts above."""
    run_there(machine, f"make test SERVICE_ARGS='{PARTS}' ARGS='-k \"default_bake or first_commit\"'")
