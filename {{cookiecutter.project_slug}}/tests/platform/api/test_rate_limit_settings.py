"""The app does not start if a route or a setting declares its rate limit wrongly."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import app as factory
from app.features import FEATURE_SETTINGS, FEATURES
from app.platform.api.blueprints import Blueprint
from app.platform.api.rate_limits import no_rate_limit, rate_limit
from app.platform.feature import Feature
from app.platform.settings.fields import text
from tests.environments import basic_environment


@dataclass(frozen=True, kw_only=True)
class OrderSettings:
    """Settings with a rate limit that is not declared as one."""

    RATELIMIT_ORDERS: str | None = text(None, "Creating an order.")


@pytest.mark.req("A8")
def test_app_rejects_routes_with_unknown_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    blueprint = Blueprint("orders", __name__, description="Orders.")
    blueprint.route("/orders")(rate_limit("RATELIMIT_LISTT")(lambda: "ok"))
    blueprint.route("/bills", methods=["POST"])(rate_limit("RATELIMIT_CREAT")(lambda: "ok"))
    blueprint.route("/exempt")(no_rate_limit("a test")(lambda: "ok"))
    monkeypatch.setattr(factory, "FEATURES", (*FEATURES, Feature(name="orders", blueprints=(blueprint,))))

    with pytest.raises(LookupError) as raised:
        factory.create_app(basic_environment())

    fix = "is no setting: declare it with rate_limit() in a settings class, or fix the name in @rate_limit."
    problems = str(raised.value).splitlines()
    assert f"GET /api/v1/orders: RATELIMIT_LISTT {fix}" in problems
    assert f"POST /api/v1/bills: RATELIMIT_CREAT {fix}" in problems
    assert all("/orders" in problem or "/bills" in problem for problem in problems)


@pytest.mark.req("A8")
def test_app_rejects_a_setting_that_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "FEATURE_SETTINGS", (*FEATURE_SETTINGS, OrderSettings))

    with pytest.raises(
        ValueError, match=r"RATELIMIT_ORDERS is None, which is no rate limit: declare it with rate_limit"
    ):
        factory.create_app(basic_environment())
