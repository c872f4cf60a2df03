"""A service works from any checkout: with Windows line endings in git, with any umask, with any name in Kubernetes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from bake import ROOT
from conftest import BakeFactory, clean_environment, run
from copy_source import SOURCE_NAME

IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
SCRIPT = "#!/bin/sh\necho works\n"


def clone_with_crlf(repository: Path, target: Path) -> Path:
    """Clone as git on Windows does by default."""
    run(["git", "-c", "core.autocrlf=true", "clone", "--quiet", str(repository), str(target)], repository.parent)
    return target


@pytest.mark.req("T7")
@pytest.mark.fault("F23")
def test_clone_of_service_has_no_carriage_returns(bake_service: BakeFactory, tmp_path: Path) -> None:
    clone = clone_with_crlf(bake_service(), tmp_path / "clone")

    files = run(["git", "ls-files", "--eol"], clone, clean_environment()).splitlines()
    assert {line.split()[1] for line in files} == {"w/lf", "w/none", "w/-text"}  # text, empty files, binary files
    assert "unknown role 'none'" in run(
        ["sh", "-c", "./entrypoint.sh none 2>&1 || test $? = 64"], clone, clean_environment()
    )


@pytest.mark.req("T7")
@pytest.mark.fault("F23")
@pytest.mark.parametrize("folder", [ROOT, ROOT / SOURCE_NAME], ids=["template", "service"])
def test_attributes_keep_line_feeds_in_scripts(folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    shutil.copy(folder / ".gitattributes", repository)
    (repository / "script").write_text(SCRIPT, encoding="utf-8")
    run(["git", "init", "--quiet", "."], repository)
    run(["git", "add", "--all"], repository)
    run(["git", *IDENTITY, "commit", "--quiet", "--no-gpg-sign", "--message", "Add a script"], repository)

    clone = clone_with_crlf(repository, tmp_path / "clone")

    assert (clone / "script").read_bytes() == SCRIPT.encode()


@pytest.mark.req("R1")
@pytest.mark.fault("F26")
def test_image_files_are_readable_for_every_user(bake_service: BakeFactory, tmp_path: Path) -> None:
    dockerfile = (bake_service() / "Dockerfile").read_text(encoding="utf-8")
    set_modes = re.findall(r"chmod [^\\\n]+", dockerfile.partition("COPY . .")[2].partition("FROM")[0])
    source = tmp_path / "srv"
    shutil.copytree(bake_service(), source, ignore=shutil.ignore_patterns(".git"))
    run(["chmod", "-R", "u=rwX,go=", "."], source)  # as with umask 077
    run(["chmod", "0600", "entrypoint.sh"], source)  # as on a file system without executable bits

    run(["sh", "-euc", "\n".join(set_modes)], source)

    unreadable = run(["find", ".", "(", "!", "-perm", "-o=r", "-o", "-perm", "/o=w", ")", "-print"], source)
    assert unreadable == ""
    assert run(["find", ".", "-type", "d", "!", "-perm", "-o=x", "-print"], source) == ""
    assert (source / "entrypoint.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.req("R5")
@pytest.mark.fault("F21")
def test_pods_get_no_variables_of_other_services(bake_service: BakeFactory) -> None:
    folder = bake_service("kubernetes=yes", "project_slug=mail") / "deploy" / "kubernetes"
    manifests = [
        manifest
        for path in sorted(folder.glob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    pods = {
        f"{each['kind']} {each['metadata']['name']}": each["spec"]["template"]["spec"]
        for each in manifests
        if "template" in each.get("spec", {})
    }

    assert len(pods) == 4
    assert [name for name, pod in pods.items() if pod.get("enableServiceLinks") is not False] == []


@pytest.mark.req("R5")
@pytest.mark.fault("F20")
def test_kubernetes_secret_has_the_values_of_the_file(
    bake_service: BakeFactory, service_venv: Path, tmp_path: Path
) -> None:
    file = tmp_path / "production.env"
    program = [str(service_venv / "bin" / "python"), "deploy/kubernetes/make_secret.py", str(file)]
    service = bake_service("kubernetes=yes")
    quiet = clean_environment(PYTHONDONTWRITEBYTECODE="1")  # tests only read a bake
    file.write_text("PLAIN=a#b\nMAIL_PASSWORD='pa$word-1'\n", encoding="utf-8")
    secret = json.loads(run(program, service, quiet))

    file.write_text("MAIL_PASSWORD=pa$word-1\n", encoding="utf-8")
    refused = run(["sh", "-c", '"$@" 2>&1 || echo "status $?"', "sh", *program], service, quiet)

    assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", "my-flask-service-secrets")
    assert secret["stringData"] == {"PLAIN": "a#b", "MAIL_PASSWORD": "pa$word-1"}
    assert "(MAIL_PASSWORD) has a $" in refused
    assert refused.endswith("status 1\n")
