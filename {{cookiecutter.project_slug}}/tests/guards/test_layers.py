"""Each import contract of pyproject.toml fails on a violation in a new feature, with a message that names the fix."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import ROOT

PLATFORM = "The platform imports no feature"
FEATURES = "Features import each other only through service"
PACKAGES = "Features import neither the factory, the list of features nor a feature package"
CYCLES = "There are no import cycles"
SERVICES = "Services import neither Flask nor Celery"
LAYERS = "Platform layers import only layers below them"
MONITORING = "The service does not import the monitoring generator"

# Part of the message of each contract.
FIXES = {
    PLATFORM: "declare it in the feature's Feature object",
    FEATURES: "Import the other feature's service module",
    PACKAGES: "Import the service module of the other feature",
    CYCLES: "Let one of the two modules own the shared code",
    SERVICES: "move requests to views.py",
    LAYERS: "Move the code into the layer that needs it",
    MONITORING: "declare alerts in the Feature object",
}

# Violations: (the contract, the module that violates it, its statement, the module that it imports).
VIOLATIONS = [
    (PLATFORM, "app.platform.web.orders", "from app.orders import service", "app.orders.service"),
    (PLATFORM, "app.platform.web.orders", "from app import orders", "app.orders"),
    (FEATURES, "app.orders.views", "from app.accounts import models", "app.accounts.models"),
    (PACKAGES, "app.orders.views", "from app import accounts", "app.accounts"),
    (PACKAGES, "app.orders.schemas", "from app.accounts import FEATURE", "app.accounts"),
    (PACKAGES, "app.orders.settings", "import app.accounts", "app.accounts"),
    (PACKAGES, "app.orders.views", "from app.features import FEATURES", "app.features"),
    (PACKAGES, "app.orders.views", "from app import create_app", "app"),
    (PACKAGES, "app.platform.web.orders", "from app.features import FEATURES", "app.features"),
    (SERVICES, "app.orders.service", "from flask import request", "flask"),
    (SERVICES, "app.orders.service", "from flask_smorest import abort", "flask_smorest"),
    (SERVICES, "app.orders.service", "from werkzeug.exceptions import NotFound", "werkzeug"),
    (SERVICES, "app.orders.service", "from celery import current_app", "celery"),
    (SERVICES, "app.orders.service", "from kombu.exceptions import OperationalError", "kombu"),
    (
        SERVICES,
        "app.orders.service",
        "from app.platform.web.request_state import current_request",
        "app.platform.web.request_state",
    ),
    (SERVICES, "app.orders.service", "from app.platform.web import flask_app", "app.platform.web.flask_app"),
    (SERVICES, "app.orders.service", "from app.platform.tasks import celery", "app.platform.tasks.celery"),
    (SERVICES, "app.orders.service", "from app.orders import views", "app.orders.views"),
    (SERVICES, "app.orders.service", "from app.orders import tasks", "app.orders.tasks"),
    (LAYERS, "app.platform.settings.orders", "from app.platform.web import problems", "app.platform.web.problems"),
    (MONITORING, "app.orders.tasks", "from monitoring import rules", "monitoring.rules"),
]


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The report on each broken contract, for a copy with all violations in a new feature, and a new layer."""
    copy = tmp_path_factory.mktemp("service")
    for part in ("app", "monitoring"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "app" / "orders").mkdir()
    (copy / "app" / "orders" / "__init__.py").touch()
    (copy / "app" / "platform" / "billing.py").touch()
    cycle = (CYCLES, "app.accounts.orders", "from app.orders import service", "app.orders.service")
    for _, module, statement, _ in [*VIOLATIONS, cycle]:
        with (copy / f"{module.replace('.', '/')}.py").open("a", encoding="utf-8") as file:
            file.write(f"{statement}\n")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config", "pyproject.toml"]
    result = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    _, *parts = re.split(r"^(\S.*)\n-+$", result.stdout.split("Broken contracts")[1], flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.parametrize(("contract", "module", "statement", "imported"), VIOLATIONS)
def test_contract_fails_on_violation(
    sections: dict[str, str], contract: str, module: str, statement: str, imported: str
) -> None:
    del statement

    assert f"{module} -> {imported} (" in sections[contract]


@pytest.mark.parametrize("contract", FIXES)
def test_broken_contract_names_the_fix(sections: dict[str, str], contract: str) -> None:
    assert FIXES[contract] in sections[contract]


def test_cycle_between_features_is_found(sections: dict[str, str]) -> None:
    assert ".orders -> .accounts (" in sections[CYCLES]


def test_new_platform_layer_must_be_listed(sections: dict[str, str]) -> None:
    assert "app.platform.billing" in sections[LAYERS]
    assert "add a new layer to this list" in sections[LAYERS]
