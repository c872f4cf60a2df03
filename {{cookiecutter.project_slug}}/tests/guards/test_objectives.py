"""Every route says how soon and how surely it answers."""

from __future__ import annotations

import pytest
from flask import Flask

UNPROMISED = {"docs", "docs_asset", "metrics.metrics", "metrics.metrics_alias", "v1_openapi", "v2_openapi"}


@pytest.mark.req("O3")
def test_every_route_has_an_objective_or_says_why_not(app: Flask) -> None:
    views = app.view_functions.items()
    silent = [name for name, view in views if not hasattr(view, "objective")]
    reasons = {name: getattr(view, "no_objective_reason", None) for name, view in views}
    free = {name for name, reason in reasons.items() if reason}

    assert not silent, "put @objective(…) or @no_objective('why') of app.observability.slo.objectives on the view"
    assert free == {name for name, view in views if not getattr(view, "objective", None)}
    assert free == UNPROMISED, "a route that promises nothing is a decision: name it here"
