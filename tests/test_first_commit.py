"""A bake ends with a clean first commit if git is installed; it needs neither git nor a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bake import bake
from conftest import BakeFactory, clean_environment, run

BAKE = "import sys; sys.path[:0] = sys.argv[1:2]; from bake import *; print(bake(Path(sys.argv[2]), template=ROOT))"
IGNORED_PATHS = (".env", "app.db", "instance/app.db", "app.log", "uploads/file.bin", ".venv/x", "build/x")


def git(service: Path, *arguments: str) -> list[str]:
    return run(["git", *arguments], service).splitlines()


def file_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def bake_in_subprocess(template: Path, folder: Path, *prefix: str, **env: str) -> str:
    """Bake in a new process with the command prefix `prefix` and a changed environment; return its output."""
    command = [*prefix, sys.executable, "-c", BAKE, str(template / "scripts"), str(folder)]
    return run(command, folder.parent, clean_environment(**env))


@pytest.mark.req("T3")
def test_first_commit_contains_all_files_but_secrets(bake_service: BakeFactory) -> None:
    service = bake_service()

    assert git(service, "log", "--format=%s") == ["Bake my-flask-service from cookiecutter-flask-service"]
    assert git(service, "branch", "--show-current") == ["main"]
    assert git(service, "status", "--porcelain") == []
    assert git(service, "status", "--porcelain", "--ignored") == ["!! .env"]


@pytest.mark.req("T3")
def test_git_ignores_secrets_and_artefacts(bake_service: BakeFactory) -> None:
    assert git(bake_service(), "check-ignore", *IGNORED_PATHS) == list(IGNORED_PATHS)


@pytest.mark.req("T3")
def test_executable_bit_is_kept_on_disk_and_in_git(bake_service: BakeFactory) -> None:
    assert os.access(bake_service() / "entrypoint.sh", os.X_OK)
    assert git(bake_service(), "ls-files", "--stage", "entrypoint.sh")[0].startswith("100755")


@pytest.mark.req("T3")
def test_bake_needs_no_git_identity(template: Path, tmp_path: Path) -> None:
    no_identity = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "XDG_CONFIG_HOME": ""}

    bake_in_subprocess(template, tmp_path / "service", HOME=str(tmp_path), **no_identity)

    assert git(tmp_path / "service", "log", "--format=%an <%ae>, %cn") == [
        "Example Ltd <team@example.com>, Example Ltd"
    ]


@pytest.mark.req("T3")
def test_bake_leaves_surrounding_repository_unchanged(template: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")

    git_dir = outer / ".git"
    variables = {"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(outer), "GIT_INDEX_FILE": str(git_dir / "index")}
    bake_in_subprocess(template, outer / "service", **variables)

    assert git(outer, "rev-list", "--all") == []
    assert len(git(outer / "service", "rev-list", "--all")) == 1


@pytest.mark.req("T3")
@pytest.mark.parametrize(("state", "message"), [("absent", "git is not installed"), ("broken", "('out of order')")])
def test_bake_is_complete_without_git(
    template: Path, tmp_path: Path, bake_service: BakeFactory, state: str, message: str
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    if state == "broken":
        (tools / "git").write_text("#!/bin/sh\necho out of order >&2\nexit 3\n", encoding="utf-8")
        (tools / "git").chmod(0o755)

    output = bake_in_subprocess(template, tmp_path / "service", PATH=str(tools))

    assert message in output
    assert file_names(tmp_path / "service") == file_names(bake_service()) - {".git"}


def without_network() -> list[str]:
    """Return a command prefix that removes the network, for root or an ordinary user; empty if neither works."""
    unshare = shutil.which("unshare")
    for options in (["--net"], ["--map-root-user", "--net"]):
        if unshare and subprocess.run([unshare, *options, "true"], check=False, capture_output=True).returncode == 0:
            return [unshare, *options]
    print("unshare cannot create a network namespace; Python sockets are blocked instead, which proves less.")
    return []


BLOCK_SOCKETS = """
import socket

def block(*_):
    raise OSError("network is blocked")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = block
"""


@pytest.mark.req("T3")
def test_bake_needs_no_network(template: Path, tmp_path: Path, bake_service: BakeFactory) -> None:
    prefix = without_network()
    (tmp_path / "sitecustomize.py").write_text("" if prefix else BLOCK_SOCKETS, encoding="utf-8")
    dead_proxies = dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")

    bake_in_subprocess(template, tmp_path / "service", *prefix, PYTHONPATH=str(tmp_path), **dead_proxies)

    assert file_names(tmp_path / "service") == file_names(bake_service())
    assert len(git(tmp_path / "service", "rev-list", "--all")) == 1


def test_failed_bake_keeps_previous_folder(template: Path, tmp_path: Path) -> None:
    bake(tmp_path / "service", template=template)
    before = file_names(tmp_path / "service")

    with pytest.raises(Exception, match="project_slug"):
        bake(tmp_path / "service", ["project_slug=../x"], template=template)

    assert file_names(tmp_path / "service") == before
    assert file_names(tmp_path) == {"service"}
