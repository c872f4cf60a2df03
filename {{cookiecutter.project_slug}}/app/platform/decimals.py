"""Schema fields for numbers that are written as text, in settings and in queries."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import fields

DECIMAL = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]{1,3})?")


class _Decimal(fields.Number[Any]):
    """Rejects what Python reads as a number too: 1_000, digits of other scripts, nan, spaces."""

    def _validated(self, value: Any) -> Any:
        if not DECIMAL.fullmatch(str(value)):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class DecimalInteger(_Decimal, fields.Integer):
    """A whole number in ASCII digits."""


class DecimalNumber(_Decimal, fields.Float):
    """A number in ASCII digits, like 0.5 or 1e-3."""
