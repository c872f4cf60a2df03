"""How many values a request can need at most: a body with more of them is rejected before it is parsed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

from marshmallow import Schema, fields, validate

from app.platform.api.fields import BoundedList, Scope, max_text_length

SPARE_VALUES = 100  # so that a response can name some unknown fields


@cache  # one entry for each schema class; nosemgrep: unbounded-cache
def max_commas(schema_class: type[Schema]) -> float:
    """Return the most commas in the JSON text of a valid body; infinite if a field has no bound."""
    return _commas_of(schema_class())


def lists(schema: Schema) -> Iterator[tuple[str, BoundedList]]:
    """Yield the lists of a schema, by name."""
    for name, field in schema.load_fields.items():
        if isinstance(field, BoundedList):
            yield name, field


def _commas_of(schema: Schema) -> float:
    return sum(1 + _commas_in(field) for field in schema.load_fields.values())


def _commas_in(field: fields.Field[Any]) -> float:
    match field:
        case BoundedList():
            return field.maximum * (1 + _commas_in(field.inner))
        case fields.Nested():
            return _commas_of(field.schema)
        case fields.Number() | fields.Boolean() | fields.DateTime() | Scope():
            return 0
        case fields.String():
            is_choice = any(isinstance(check, validate.OneOf | validate.Equal) for check in field.validators)
            return 0 if is_choice else max_text_length(field) or math.inf
        case _:
            return math.inf
