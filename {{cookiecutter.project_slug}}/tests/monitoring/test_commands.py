"""`flask slo`: the committed files are up to date in every environment, and `--check` shows differences."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.platform.telemetry.objectives import objectives_of
from app.platform.web.route_policy import Objective
from tests.environments import ROOT, basic_environment

pytestmark = pytest.mark.req("O3")


@pytest.mark.parametrize("kind", ["rules", "dashboard"])
def test_committed_files_are_up_to_date(app: Flask, kind: str) -> None:
    result = app.test_cli_runner().invoke(args=["slo", kind, "--check"])

    assert result.exit_code == 0, result.output


def test_rules_do_not_depend_on_the_settings(environment: Mapping[str, str]) -> None:
    app = create_app({**environment, "API_LEGACY_ENABLED": "true"})

    assert app.test_cli_runner().invoke(args=["slo", "rules", "--check"]).exit_code == 0


def test_check_shows_the_lines_of_a_changed_objective(environment: Mapping[str, str]) -> None:
    app = create_app(environment)
    objectives_of(app)["GET", "/ready"] = Objective(0.25)

    result = app.test_cli_runner().invoke(args=["slo", "rules", "--check"])

    assert result.exit_code == 1
    assert "run flask slo rules" in result.output
    assert re.search(r'^\+ .*0\.25 \+ 0 \* .*endpoint=~"/ready"', result.output, re.MULTILINE)


def test_check_fails_for_a_changed_dashboard(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "root_path", str(tmp_path / "app"))
    runner = app.test_cli_runner()
    assert runner.invoke(args=["slo", "dashboard", "--check"]).exit_code == 1

    written = runner.invoke(args=["slo", "dashboard"])
    assert written.exit_code == 0
    assert runner.invoke(args=["slo", "dashboard", "--check"]).exit_code == 0

    file = tmp_path / written.output.split()[0]
    file.write_text(file.read_text(encoding="utf-8").replace('"refresh": "30s"', '"refresh": "5s"'), encoding="utf-8")
    result = runner.invoke(args=["slo", "dashboard", "--check"])

    assert result.exit_code == 1
    assert '-  "refresh": "5s"' in result.output


def test_commands_without_monitoring_name_the_missing_module(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monitoring.commands", None)

    result = app.test_cli_runner().invoke(args=["slo", "rules"])

    assert result.exit_code == 1
    assert "flask slo needs the repository" in result.output
    assert "'monitoring.commands'" in result.output


def test_web_processes_do_not_import_monitoring() -> None:
    program = "import sys, wsgi; sys.exit(any(name.startswith('monitoring') for name in sys.modules))"

    result = subprocess.run(
        [sys.executable, "-c", program], env=basic_environment(DATABASE_URL="sqlite://"), cwd=ROOT, check=False
    )

    assert result.returncode == 0, "import monitoring only in app/platform/operations/slo_commands.py"
