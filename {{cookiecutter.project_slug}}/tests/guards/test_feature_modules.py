"""A feature without its part of the tests over all features fails with a message that names the file to create."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any, cast

import pytest

from app.platform.api.blueprints import Blueprint
from app.platform.feature import Feature
from app.platform.personal_data import PersonalDataSource
from app.platform.telemetry.alerts import Alert
from tests import feature_modules, route_calls, samples
from tests.monitoring import alert_cases
from tests.privacy import person_factory

ORDERS = Feature(
    name="orders",
    blueprints=(Blueprint("orders", __name__),),
    personal_data=PersonalDataSource(("orders",), lambda _session, _user_id: []),
    alerts=(cast(Alert, "an alert"),),
)
NOTHING = cast(Any, None)


@pytest.fixture(autouse=True)
def _orders_is_a_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (person_factory, route_calls, alert_cases):
        monkeypatch.setattr(module, "FEATURES", (ORDERS,))


def test_personal_data_needs_samples() -> None:
    fix = "create tests/orders/samples.py: PERSONAL_DATA, SECRET_COLUMNS (see tests/accounts/samples.py)"

    with pytest.raises(LookupError, match=re.escape(fix)):
        person_factory.secret_columns()


def test_samples_of_personal_data_need_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tests.orders.samples")
    module.__dict__["SECRET_COLUMNS"] = frozenset()
    monkeypatch.setitem(sys.modules, "tests.orders", ModuleType("tests.orders"))
    monkeypatch.setitem(sys.modules, "tests.orders.samples", module)

    with pytest.raises(LookupError, match=r"add to tests/orders/samples\.py: PERSONAL_DATA \(see"):
        person_factory.secret_columns()


def test_routes_need_route_calls() -> None:
    fix = "create tests/orders/route_calls.py: call_routes (see tests/accounts/route_calls.py)"

    with pytest.raises(LookupError, match=re.escape(fix)):
        route_calls.RouteCaller(NOTHING, NOTHING, 1).call_all()


def test_alerts_need_cases() -> None:
    fix = "create tests/orders/alert_cases.py: CASES (see tests/encryption_keys/alert_cases.py)"

    with pytest.raises(LookupError, match=re.escape(fix)):
        list(alert_cases.feature_cases())


def test_an_id_in_a_path_needs_an_object() -> None:
    fix = 'add "order_id" to OBJECTS in tests/<feature>/samples.py (see tests/accounts/samples.py)'

    with pytest.raises(LookupError, match=re.escape(fix)):
        samples.create_object(NOTHING, NOTHING, NOTHING, "order_id")


def test_missing_import_of_an_existing_module_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(_name: str) -> ModuleType:
        raise ModuleNotFoundError(name="tests.other")

    monkeypatch.setattr(feature_modules, "import_module", import_module)

    with pytest.raises(ModuleNotFoundError):
        feature_modules.find_module("orders", "samples")
