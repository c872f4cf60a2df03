"""The README's two commands on a machine with only Python with venv, make and git."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bake import ROOT

from e2e.engine import RESULTS, docker

IMAGE = "cookiecutter-flask-service-bare:e2e"
DOCKERFILE = b"""
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv make git ca-certificates
RUN useradd --create-home --uid 1000 developer
USER developer
WORKDIR /home/developer/template
"""
HOME = "/home/developer"
CA_BUNDLE = f"{HOME}/certificates.pem"
# A network may use its own certificates or package index: these variables of the host apply in the container too.
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
NETWORK_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_DEFAULT_TIMEOUT",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
COMMAND_TIMEOUT_SECONDS = 3000
# The tests that depend on the machine: servers found on it or installed from wheels, and programs that users run.
# The other tests of the service do not depend on it.
MACHINE_TESTS = (
    "tests/servers tests/locations tests/migrations/test_migrations.py tests/running/test_worker.py "
    "tests/running/test_readme.py"
)


def repository_files() -> list[str]:
    """Return the files of a fresh clone, including new files that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def with_container_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 1000
    return info


def archive(files: dict[str, Path]) -> bytes:
    """Return a tar archive of files under new names, owned by the container's user."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, path in sorted(files.items()):
            tar.add(path, name, filter=with_container_owner)
    return packed.getvalue()


def ca_bundle() -> Path | None:
    """Return the file of additional trusted certificates on this machine, if any."""
    paths = [os.environ[name] for name in CERTIFICATE_VARIABLES if os.environ.get(name)]
    return Path(paths[0]) if paths and Path(paths[0]).is_file() else None


def environment_options() -> list[str]:
    """Return docker options that set the container's environment."""
    values = {name: os.environ[name] for name in NETWORK_VARIABLES if os.environ.get(name)}
    values |= dict.fromkeys(CERTIFICATE_VARIABLES, CA_BUNDLE) if ca_bundle() else {}
    return [word for name, value in values.items() for word in ("--env", f"{name}={value}")]


@pytest.fixture(scope="module")
def machine() -> Iterator[str]:
    """A running container with a copy of the repository in an ordinary user's home."""
    (RESULTS / "bare.log").unlink(missing_ok=True)
    docker("build", "--tag", IMAGE, "-", stdin=DOCKERFILE, seconds=600)
    container = docker("run", "--detach", "--init", *environment_options(), IMAGE, "sleep", "infinity").strip()
    try:
        files = {f"template/{name}": ROOT / name for name in repository_files()}
        files |= {Path(CA_BUNDLE).name: found.resolve() for found in [ca_bundle()] if found}
        docker("cp", "--archive", "-", f"{container}:{HOME}", stdin=archive(files))
        yield container
    finally:
        docker("rm", "--force", "--volumes", container)


def run_in_container(container: str, command: str) -> None:
    """Run a command in the container with its output in a log; a failure shows the end of the log."""
    log = RESULTS / "bare.log"
    with log.open("ab") as output:
        output.write(f"\n$ {command}\n".encode())
        output.flush()
        words = ["docker", "exec", container, "sh", "-c", command]
        result = subprocess.run(
            words, stdout=output, stderr=subprocess.STDOUT, timeout=COMMAND_TIMEOUT_SECONDS, check=False
        )
    assert result.returncode == 0, (
        f"{command} exited with status {result.returncode}:\n{log.read_text('utf-8')[-6000:]}"
    )


@pytest.mark.req("T6")
def test_machine_has_no_development_tools(machine: str) -> None:
    run_in_container(
        machine, "test $(id -u) = 1000 && test ! -e ~/.cache && ! command -v pip gcc docker psql redis-server node"
    )


@pytest.mark.req("T6")
def test_demo_succeeds(machine: str) -> None:
    run_in_container(machine, "make demo ONCE=1")


@pytest.mark.req("T6")
def test_make_test_succeeds(machine: str) -> None:
    """Run the tests of the first commit and of the default bake, the latter limited to MACHINE_TESTS."""
    run_in_container(machine, f"make test SERVICE_ARGS='{MACHINE_TESTS}' ARGS='-k \"default_bake or first_commit\"'")
