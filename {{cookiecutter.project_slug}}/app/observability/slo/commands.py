"""`flask slo`: writes what is made from the objectives, or says how the committed files differ from that."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from app.observability.slo.dashboards import dashboards
from app.observability.slo.objectives import objectives_of
from app.observability.slo.rules import rule_file

RULES = Path("deploy/prometheus/rules.yml")
DASHBOARDS = Path("deploy/grafana/dashboards")
HEADER = "# Made by `flask slo rules` from the objectives beside the views and from app/observability/slo/alerts.py.\n"

slo = AppGroup("slo", help="What is made from the objectives of routes.")
check_only = click.option("--check", is_flag=True, help="Write nothing; fail if a committed file is not up to date.")


@slo.command("rules")
@check_only
def rules(check: bool) -> None:
    """Write Prometheus's rules and alerts."""
    _finish({RULES: HEADER + as_yaml(rule_file(objectives_of(current_app)))}, check, "rules")


@slo.command("dashboard")
@check_only
def dashboard(check: bool) -> None:
    """Write Grafana's dashboards."""
    files = {DASHBOARDS / f"{name}.json": f"{json.dumps(made, indent=2)}\n" for name, made in dashboards().items()}
    _finish(files, check, "dashboard")


def as_yaml(content: Any) -> str:
    """YAML with a block for every text of several lines."""
    import yaml  # noqa: PLC0415 - a tool of development, which the image does not hold

    class Dumper(yaml.SafeDumper):
        def represent_text(self, text: str) -> Any:
            return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, Dumper.represent_text)
    return str(yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000))


def _finish(files: Mapping[Path, str], check: bool, command: str) -> None:
    root = Path(current_app.root_path).parent
    if check:
        differences = [line for path, text in files.items() for line in _difference(root, path, text)]
        if differences:
            raise click.ClickException(f"run flask slo {command}\n" + "\n".join(differences))
        return
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
        click.echo(path)


def _difference(root: Path, path: Path, wanted: str) -> list[str]:
    committed = (root / path).read_text(encoding="utf-8") if (root / path).exists() else ""
    lines = difflib.unified_diff(committed.splitlines(), wanted.splitlines(), f"{path}", "as declared", lineterm="")
    return list(lines)
