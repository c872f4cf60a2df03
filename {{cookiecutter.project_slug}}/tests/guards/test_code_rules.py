"""The guards of the files report violations in a small repository, with the fix."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.features import FEATURES, PACKAGES
from app.platform.api.blueprints import Blueprint
from app.platform.feature import Feature
from app.platform.settings.fields import integer
from tests.guards import code_rules


@dataclass(frozen=True, kw_only=True)
class OrderSettings:
    """The settings of the feature."""

    ORDERS_SECONDS: int = integer(1, 1, 2, "Orders.")


blueprint = Blueprint("orders", __name__)
for rule in ("/orders", "/orders/<int:order_id>", "/orders/latest", "/order-lines"):
    blueprint.add_url_rule(rule, rule.replace("/", "_"), lambda: "")

ORDERS = Feature(
    name="orders",
    blueprints=(blueprint,),
    settings=OrderSettings,
    scopes=("orders:read",),
    schedules={"orders.clean_up": 60.0},
    personal_fields=("postal_code", "altitude"),
    request_headers=("X-Orders-Key",),
)


# Words of the features that every service keeps: (text, feature).
WORDS = [
    ('import_module("app.audit.models")', "audit"),
    ("from app import audit", "audit"),
    ("display_name", "accounts"),
    ("X-Export-Passphrase", "privacy"),
    ("/api/v1/users/me", "accounts"),
    ("auth/login", "accounts"),
    ("audit-logs", "audit"),
    ("Audit_Logs", "audit"),
    ("AuditLogs", "audit"),
    ("user_sessions", "accounts"),
    ("UserSession", "accounts"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository without problems."""
    write(tmp_path, "app/__init__.py", '"""The factory."""\n')
    write(tmp_path, "app/platform/__init__.py", "")
    write(tmp_path, "app/orders/__init__.py", "")
    write(tmp_path, "README.md", "The factory is `app/__init__.py`.\n")
    write(tmp_path, "docs/runbook.md", 'Look at "Requests".\n')
    write(tmp_path, "deploy/grafana/dashboards/service.json", json.dumps({"panels": [{"title": "Requests"}]}))
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def test_guards_accept_a_repository_without_problems(root: Path) -> None:
    assert code_rules.size_problems(root) == []
    assert code_rules.platform_problems(root, code_rules.feature_patterns([ORDERS])) == []
    assert code_rules.placement_problems(root) == []
    assert code_rules.registration_problems(root, [ORDERS]) == []
    assert code_rules.documentation_problems(root) == []
    assert code_rules.panel_problems(root) == []


@pytest.mark.fault("F43")
@pytest.mark.parametrize(("name", "lines", "limit"), [("app/orders/service.py", 301, 300), ("app/__init__.py", 61, 60)])
@pytest.mark.req("S1")
def test_guard_reports_a_long_file(root: Path, name: str, lines: int, limit: int) -> None:
    write(root, name, "pass\n" * lines)

    (problem,) = code_rules.size_problems(root)

    assert problem.startswith(f"{name} has {lines} lines: split the file by responsibility: at most {limit} lines")


@pytest.mark.parametrize(
    "word",
    [
        *("app.orders", "app/orders", "app.orders.models", "APP.ORDERS", "ORDERS_SECONDS", "orders_seconds"),
        *("orders:read", "orders.clean_up", "X-Orders-Key", "x-orders-key", "postal_code", "altitude"),
        *("/api/v1/orders", "/api/orders/3", "orders/latest", "/order-lines"),
    ],
)
@pytest.mark.parametrize("name", ["app/__init__.py", "app/platform/cache.py", "monitoring/alerts.py"])
def test_guard_reports_a_feature_in_the_platform(root: Path, name: str, word: str) -> None:
    write(root, name, f"\nname = '{word}'\nother = 'reorders orders-by'\n")

    (problem,) = code_rules.platform_problems(root, code_rules.feature_patterns([ORDERS]))

    assert problem.startswith(f"{name}:2 names ")
    assert "which belongs to the feature orders: declare it in the Feature object of that feature" in problem


def test_platform_may_use_an_english_word_that_names_a_feature(root: Path) -> None:
    write(root, "app/platform/cache.py", "orders = 'The orders of /orders, at a high altitude, by an Order.'\n")

    assert code_rules.platform_problems(root, code_rules.feature_patterns([ORDERS])) == []


@pytest.mark.parametrize(("text", "feature"), [case for case in WORDS if case[1] in PACKAGES])
def test_guard_reports_the_words_of_each_feature(root: Path, text: str, feature: str) -> None:
    write(root, "app/platform/cache.py", f"{text}\n")

    (problem,) = code_rules.platform_problems(root, code_rules.feature_patterns(FEATURES))

    assert f"belongs to the feature {feature}:" in problem


@pytest.mark.parametrize("word", code_rules.GENERIC_WORDS)
def test_platform_may_use_generic_words(root: Path, word: str) -> None:
    write(root, "app/platform/cache.py", f"{word} = 1\n")

    assert code_rules.platform_problems(root, code_rules.feature_patterns(FEATURES)) == []


def test_guard_reports_a_module_outside_features_and_platform(root: Path) -> None:
    write(root, "app/features.py", "")
    write(root, "app/helpers.py", "")
    write(root, "app/utilities/texts.py", "")

    assert code_rules.placement_problems(root) == [
        "app/helpers.py belongs to no feature: put it into a feature or into app/platform",
        "app/utilities has no __init__.py: put its modules into a feature or into app/platform, or make it a feature",
    ]


def test_guard_reports_an_unregistered_feature(root: Path) -> None:
    assert code_rules.registration_problems(root, []) == [
        'app/orders is not registered: add "orders" to PACKAGES in app/features.py'
    ]


def test_guard_reports_a_feature_without_a_folder(root: Path) -> None:
    (problem,) = code_rules.registration_problems(root, [ORDERS, Feature(name="other")])

    assert problem.startswith("app/features.py registers other: rename the folder")


def test_guard_reports_a_missing_file_in_the_documentation(root: Path) -> None:
    write(root, "docs/map.md", "See `app/platform/orders.py`.\n")

    assert code_rules.documentation_problems(root) == [
        "docs/map.md names app/platform/orders.py, which does not exist: correct the path"
    ]


def test_guard_reports_a_missing_panel_in_the_runbook(root: Path) -> None:
    write(root, "docs/runbook.md", 'Look at "Orders".\n')

    assert code_rules.panel_problems(root) == [
        'docs/runbook.md quotes "Orders", but no dashboard has such a panel: correct the title'
    ]
