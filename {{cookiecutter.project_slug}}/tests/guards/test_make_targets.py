"""Make targets report every failure and fix what they can."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.servers import clean_environment

PYTEST_STUB = """#!/bin/sh
echo "pytest on $TEST_DATABASE"
[ "$TEST_DATABASE" != "$FAILING_DATABASE" ]
"""
# Joined here, so that the check of this repository does not find them.
KEY = "AKIA" + "QYLPMN5HNM4P3LZX"
SECRET = "wJalrXUtnFEMIK7MDENG" + "bPxRfiCYzA9q1LqT0abc"
WORKFLOW = "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@main\n"
VIOLATIONS = [
    ("check-secrets", "deploy/keys.yaml", f"aws_key: {KEY}\naws_secret: {SECRET}\n", "AWS-ACCESS-TOKEN"),
    ("check-security", "app/orders.py", "import subprocess\nsubprocess.call('ls', shell=True)\n", "B602"),
    ("check-workflows", ".github/workflows/ci.yml", WORKFLOW, "unpinned-uses"),
]
LONG_COMMENT = f"# {'x' * 130}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Build a project with the service's Makefile and an installed virtual environment, whose `python` is a stub."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("ruff", "shellcheck", "bandit", "kingfisher", "zizmor"):
        program = shutil.which(name)
        assert program, "run: make install"
        (programs / name).symlink_to(program)
    (programs / "python").write_text(PYTEST_STUB, encoding="utf-8")
    (programs / "python").chmod(0o755)
    for number, name in enumerate(("requirements.txt", ".venv/runtime", "requirements-dev.txt", ".venv/development")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (number, number))  # each stamp is newer than its list, so make installs nothing
    return tmp_path


def make(target: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", target],
        cwd=folder,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.fault("F41")
def test_make_format_formats_a_file_with_lint_findings(project: Path) -> None:
    source = project / "long.py"
    source.write_text(f'"""A module."""\nimport os\n{LONG_COMMENT}x   =  [ 1,2 ]\n', encoding="utf-8")

    result = make("format", project)

    assert source.read_text(encoding="utf-8") == f'"""A module."""\n\n{LONG_COMMENT}x = [1, 2]\n'
    assert "E501" in result.stdout
    assert result.returncode != 0


def test_make_format_succeeds_without_lint_findings(project: Path) -> None:
    (project / "short.py").write_text('"""A module."""\nx   =  1\n', encoding="utf-8")

    assert make("format", project).returncode == 0


@pytest.mark.fault("F40")
@pytest.mark.parametrize(("failing", "other"), [("postgresql", "sqlite"), ("sqlite", "postgresql")])
def test_make_test_runs_both_databases_when_one_fails(project: Path, failing: str, other: str) -> None:
    result = make("test", project, FAILING_DATABASE=failing)

    assert [line for line in result.stdout.splitlines() if line.startswith("pytest on")] == [
        "pytest on postgresql",
        "pytest on sqlite",
    ]
    assert set(result.stdout.splitlines()[-2:]) == {f"Tests on {failing}: FAILED", f"Tests on {other}: passed"}
    assert result.returncode != 0


def test_make_test_succeeds_when_both_databases_pass(project: Path) -> None:
    result = make("test", project)

    assert result.stdout.splitlines()[-2:] == ["Tests on postgresql: passed", "Tests on sqlite: passed"]
    assert result.returncode == 0


@pytest.mark.fault("F50")
@pytest.mark.parametrize("script", ["entrypoint.sh", "scripts/unquoted.sh"])
def test_make_check_shell_reads_every_shell_script(project: Path, script: str) -> None:
    (project / "scripts").mkdir()
    for name in ("entrypoint.sh", "scripts/quoted.sh"):
        (project / name).write_text('#!/bin/sh\necho "$1"\n', encoding="utf-8")
    (project / script).write_text("#!/bin/sh\necho $1\n", encoding="utf-8")

    result = make("check-shell", project)

    assert result.returncode != 0
    assert f"In {script} line 2" in result.stdout


@pytest.mark.parametrize(("target", "file", "text", "rule"), VIOLATIONS)
def test_make_check_finds_a_planted_violation(project: Path, target: str, file: str, text: str, rule: str) -> None:
    (project / file).parent.mkdir(parents=True)
    (project / file).write_text(text, encoding="utf-8")

    result = make(target, project)

    assert result.returncode != 0
    assert rule in result.stdout + result.stderr


@pytest.mark.parametrize("target", ["check-secrets", "check-workflows"])
def test_make_check_succeeds_without_findings(project: Path, target: str) -> None:
    (project / ".env").write_text(f"AWS_KEY={KEY}\nAWS_SECRET={SECRET}\n", encoding="utf-8")  # not in the repository

    assert make(target, project).returncode == 0
