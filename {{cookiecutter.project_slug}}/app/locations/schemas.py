"""What locations take in and give out."""

from __future__ import annotations

import math
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from app.fields import Number, PastTime
from app.pagination import PageQuery

LARGEST_BATCH = 1000
EARTH_RADIUS = 6_371_000  # metres; no position is less certain than that

latitude = validate.Range(-90, 90, error="Must be from -90 to 90 degrees.")
longitude = validate.Range(-180, 180, error="Must be from -180 to 180 degrees.")


class Position(Schema):
    """Where the caller is, or was."""

    latitude = Number(required=True, validate=latitude, metadata={"description": "Degrees north, WGS 84."})
    longitude = Number(required=True, validate=longitude, metadata={"description": "Degrees east, WGS 84."})
    accuracy = Number(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, EARTH_RADIUS, error=f"Must be from 0 to {EARTH_RADIUS} metres."),
        metadata={"description": "Radius of certainty in metres."},
    )
    recorded_at = PastTime(metadata={"description": "When; now, if left out."})


class Batch(Schema):
    """Several positions of the caller."""

    locations = fields.List(
        fields.Nested(Position()),
        required=True,
        validate=validate.Length(1, LARGEST_BATCH, error=f"Must have from 1 to {LARGEST_BATCH} items."),
    )


class Accepted(Schema):
    """How many positions were saved."""

    accepted = fields.Integer()


class Location(Schema):
    """A saved position."""

    id = fields.Integer()
    user_id = fields.Integer()
    latitude = fields.Float()
    longitude = fields.Float()
    accuracy = fields.Float(allow_none=True)
    recorded_at = fields.AwareDateTime()


class LocationPage(Schema):
    """A page of positions, newest first."""

    items = fields.List(fields.Nested(Location()))
    next = fields.String(allow_none=True)


class Box(fields.Field[tuple[float, ...]]):
    """`west,south,east,north` in degrees; west may be greater than east, across the 180th meridian."""

    default_error_messages = {"invalid": "Must be west,south,east,north in degrees, south not above north."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[float, ...]:
        del attr, data, kwargs
        try:
            west, south, east, north = (float(part) for part in str(value).split(","))
            for degrees, bound in ((west, longitude), (east, longitude), (south, latitude), (north, latitude)):
                bound(degrees)
        except (ValueError, ValidationError):
            raise self.make_error("invalid") from None
        if not south <= north or math.isnan(west + east):  # which no range refuses
            raise self.make_error("invalid")
        return west, south, east, north


class ActiveQuery(PageQuery):
    """Which users count as seen just now."""

    minutes = fields.Integer(
        load_default=5, validate=validate.Range(1, 1440), metadata={"description": "Seen in so many minutes."}
    )
    bbox = Box(metadata={"type": "string", "description": "west,south,east,north in degrees."})
