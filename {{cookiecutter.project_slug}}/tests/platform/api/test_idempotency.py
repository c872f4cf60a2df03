"""The decorator of routes that accept idempotency keys must stand between the schemas of the input and the output."""

from __future__ import annotations

import pytest

from app.platform.api.blueprints import Blueprint
from app.platform.api.fields import RequestSchema
from app.platform.api.idempotency import idempotent

pytestmark = pytest.mark.req("A9")

blueprint = Blueprint("orders", __name__)


def view() -> None:
    """Return nothing."""


@pytest.mark.parametrize(
    "decorated",
    [view, blueprint.arguments(RequestSchema())(blueprint.response(204)(view))],
    ids=["below the response", "above the arguments"],
)
def test_misplaced_decorator_is_rejected(decorated: object) -> None:
    with pytest.raises(TypeError, match=r"above @blueprint\.response and below @blueprint\.arguments"):
        idempotent(decorated)  # type: ignore[type-var] # the decorators of flask-smorest are untyped
