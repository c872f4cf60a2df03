"""A bake ends in a clean first commit where git is there, and is complete where git, or the network, is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import bake
from conftest import Bakery, plain_environment, run

BAKE = "import sys; sys.path[:0] = sys.argv[1:2]; from baking import *; print(bake(Path(sys.argv[2]), template=ROOT))"
SECRETIVE = (".env", "app.db", "instance/app.db", "app.log", "uploads/file.bin", ".venv/x", "build/x")


def git(service: Path, *arguments: str) -> list[str]:
    return run(["git", *arguments], service).splitlines()


def bake_apart(template: Path, folder: Path, *prefix: str, **env: str) -> str:
    """Bake in a process of its own, started through `prefix` and in a changed environment."""
    command = [*prefix, sys.executable, "-c", BAKE, str(template / "scripts"), str(folder)]
    return run(command, folder.parent, plain_environment(**env))


@pytest.mark.req("T3")
def test_the_first_commit_holds_all_but_the_secrets(baked: Bakery) -> None:
    service = baked()

    assert git(service, "log", "--format=%s") == ["Bake my-flask-service from cookiecutter-flask-service"]
    assert git(service, "branch", "--show-current") == ["main"]
    assert git(service, "status", "--porcelain") == []
    assert git(service, "status", "--porcelain", "--ignored") == ["!! .env"]


@pytest.mark.req("T3")
def test_git_ignores_what_must_never_be_committed(baked: Bakery) -> None:
    assert git(baked(), "check-ignore", *SECRETIVE) == list(SECRETIVE)


@pytest.mark.req("T3")
def test_executables_stay_so_on_disk_and_in_git(baked: Bakery) -> None:
    assert os.access(baked() / "entrypoint.sh", os.X_OK)
    assert git(baked(), "ls-files", "--stage", "entrypoint.sh")[0].startswith("100755")


@pytest.mark.req("T3")
def test_nobody_needs_a_git_identity(template: Path, tmp_path: Path) -> None:
    nobody = {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "XDG_CONFIG_HOME": ""}

    bake_apart(template, tmp_path / "service", **nobody)

    assert git(tmp_path / "service", "log", "--format=%an <%ae>, %cn") == [
        "Example Ltd <team@example.com>, Example Ltd"
    ]


@pytest.mark.req("T3")
def test_the_repository_that_a_bake_is_started_from_is_left_alone(template: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")

    inside = {"GIT_DIR": str(outer / ".git"), "GIT_WORK_TREE": str(outer), "GIT_INDEX_FILE": str(outer / ".git/index")}
    bake_apart(template, outer / "service", **inside)

    assert git(outer, "rev-list", "--all") == []
    assert len(git(outer / "service", "rev-list", "--all")) == 1


@pytest.mark.req("T3")
@pytest.mark.parametrize(("state", "word"), [("absent", "git is not installed"), ("broken", "('out of order')")])
def test_a_bake_is_complete_without_git(template: Path, tmp_path: Path, baked: Bakery, state: str, word: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    if state == "broken":
        (tools / "git").write_text("#!/bin/sh\necho out of order >&2\nexit 3\n", encoding="utf-8")
        (tools / "git").chmod(0o755)

    said = bake_apart(template, tmp_path / "service", PATH=str(tools))

    assert word in said
    assert {path.name for path in (tmp_path / "service").iterdir()} == {p.name for p in baked().iterdir()} - {".git"}


def without_network() -> list[str]:
    """Return the prefix that runs a command where there is no route, as root or as an ordinary user; never skips."""
    unshare = shutil.which("unshare")
    for options in (["--net"], ["--map-root-user", "--net"]):
        if unshare and subprocess.run([unshare, *options, "true"], check=False, capture_output=True).returncode == 0:
            return [unshare, *options]
    print("No network namespace can be made here: sockets are refused inside Python instead, a weaker proof.")
    return []


DEAF = """
import socket

def refuse(*_):
    raise OSError("no network here")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


@pytest.mark.req("T3")
def test_a_bake_needs_no_network(template: Path, tmp_path: Path, baked: Bakery) -> None:
    prefix = without_network()
    (tmp_path / "sitecustomize.py").write_text("" if prefix else DEAF, encoding="utf-8")
    dead = dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")

    bake_apart(template, tmp_path / "service", *prefix, PYTHONPATH=str(tmp_path), **dead)

    assert {path.name for path in (tmp_path / "service").iterdir()} == {path.name for path in baked().iterdir()}
    assert len(git(tmp_path / "service", "rev-list", "--all")) == 1


def test_a_failed_bake_leaves_the_folder_of_the_one_before(template: Path, tmp_path: Path) -> None:
    bake(tmp_path / "service", template=template)
    before = sorted(path.name for path in (tmp_path / "service").iterdir())

    with pytest.raises(Exception, match="project_slug"):
        bake(tmp_path / "service", ["project_slug=../x"], template=template)

    assert sorted(path.name for path in (tmp_path / "service").iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["service"]
