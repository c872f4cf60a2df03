"""Features whose declarations collide are rejected before any of them is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import pytest

import app as factory
from app.features import FEATURES
from app.platform.feature import Feature, check_features
from app.platform.personal_data import PersonalDataSource
from app.platform.settings.fields import integer, text
from tests.environments import basic_environment

SOURCE = PersonalDataSource((), lambda *_: None)


@dataclass(frozen=True, kw_only=True)
class OrderSettings:
    """Settings of a feature."""

    ORDERS_PER_PAGE: int = integer(10, 1, 100, "A number.")


@dataclass(frozen=True, kw_only=True)
class BillSettings:
    """Settings of a feature, one of which another feature has too."""

    ORDERS_PER_PAGE: int = integer(20, 1, 100, "A number.")


@dataclass(frozen=True, kw_only=True)
class PlatformNameSettings:
    """A setting that the platform has too."""

    LOG_LEVEL: str = text("INFO", "A text.")


@dataclass(frozen=True, kw_only=True)
class ComposeNameSettings:
    """A setting that compose.yaml has too."""

    POSTGRES_DB: str = text("app", "A text.")


def features(first: dict[str, Any], second: dict[str, Any]) -> tuple[Feature, Feature]:
    """Return the features orders and bills with these declarations."""
    return Feature(**{"name": "orders", **first}), Feature(**{"name": "bills", **second})


COLLISIONS = {
    "name": (
        features({}, {"name": "orders"}),
        "Feature name 'orders' is declared 2 times: rename one of them.",
    ),
    "export name": (
        features({"personal_data": SOURCE, "export_name": "x"}, {"personal_data": SOURCE, "export_name": "x"}),
        "Export member 'x' is declared 2 times, by orders and bills: rename one of them.",
    ),
    "export name that is a feature name": (
        features({"personal_data": SOURCE}, {"personal_data": SOURCE, "export_name": "orders"}),
        "Export member 'orders' is declared 2 times, by orders and bills: rename one of them.",
    ),
    "scope": (
        features({"scopes": ("x:read",)}, {"scopes": ("y:read", "x:read")}),
        "Scope 'x:read' is declared 2 times, by orders and bills: rename one of them.",
    ),
    "scope in one feature": (
        features({"scopes": ("x:read", "x:read")}, {}),
        "Scope 'x:read' is declared 2 times, by orders: rename one of them.",
    ),
    "schedule": (
        features({"schedules": {"x.run": 60}}, {"schedules": {"x.run": 90}}),
        "Schedule 'x.run' is declared 2 times, by orders and bills: rename one of them.",
    ),
    "command": (
        features({"commands": (click.Command("x"),)}, {"commands": (click.Command("x"),)}),
        "Command 'x' is declared 2 times, by orders and bills: rename one of them.",
    ),
    "setting": (
        features({"settings": OrderSettings}, {"settings": BillSettings}),
        "Setting 'ORDERS_PER_PAGE' is declared 2 times, by OrderSettings and BillSettings: rename one of them.",
    ),
    "setting of the platform": (
        features({"settings": PlatformNameSettings}, {}),
        "Setting 'LOG_LEVEL' is declared 2 times, by Settings and PlatformNameSettings: rename one of them.",
    ),
    "setting of compose.yaml": (
        features({"settings": ComposeNameSettings}, {}),
        "Setting 'POSTGRES_DB' is declared 2 times, by ComposeSettings and ComposeNameSettings: rename one of them.",
    ),
}


@pytest.mark.parametrize(("colliding", "problem"), COLLISIONS.values(), ids=COLLISIONS)
def test_collision_is_reported(colliding: tuple[Feature, Feature], problem: str) -> None:
    assert check_features(colliding) == [problem]


def test_features_of_the_service_do_not_collide() -> None:
    assert check_features(FEATURES) == []


def test_unused_export_name_collides_with_nothing() -> None:
    assert check_features(features({"export_name": "x"}, {"export_name": "x"})) == []


def test_app_rejects_every_collision_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Feature(
        name="orders",
        commands=(click.Command("init-db"),),
        scopes=("profile:read",),
        schedules={"accounts.delete_old_sessions": 60.0},
        init_app=lambda _: pytest.fail("registered"),
    )
    monkeypatch.setattr(factory, "FEATURES", (new, *FEATURES))

    with pytest.raises(ValueError, match="declared 2 times") as raised:
        factory.create_app(basic_environment())

    assert sorted(str(raised.value).splitlines()) == [
        "Command 'init-db' is declared 2 times, by the platform and orders: rename one of them.",
        "Schedule 'accounts.delete_old_sessions' is declared 2 times, by orders and accounts: rename one of them.",
        "Scope 'profile:read' is declared 2 times, by orders and accounts: rename one of them.",
    ]
