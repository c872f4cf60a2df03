"""What locations take in and give out."""

from __future__ import annotations

import math
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from app.fields import Input, Number, PastTime
from app.pagination import PageQuery

LARGEST_BATCH = 1000
EARTH_RADIUS = 6_371_000  # metres; no position is less certain than that

latitude = validate.Range(-90, 90, error="Must be from -90 to 90 degrees.")
longitude = validate.Range(-180, 180, error="Must be from -180 to 180 degrees.")


class Position(Input):
    """Where the caller is, or was."""

    latitude = Number(
        required=True, validate=latitude, metadata={"description": "Degrees north, WGS 84.", "example": 52.5163}
    )
    longitude = Number(
        required=True, validate=longitude, metadata={"description": "Degrees east, WGS 84.", "example": 13.3777}
    )
    accuracy = Number(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, EARTH_RADIUS, error=f"Must be from 0 to {EARTH_RADIUS} metres."),
        metadata={"description": "Radius of certainty in metres.", "example": 7.5},
    )
    recorded_at = PastTime(metadata={"description": "When; now, if left out. Not before 2000, nor in the future."})


class Batch(Input):
    """Several positions of the caller."""

    locations = fields.List(
        fields.Nested(Position()),
        required=True,
        validate=validate.Length(1, LARGEST_BATCH, error=f"Must have from 1 to {LARGEST_BATCH} items."),
    )


class Accepted(Schema):
    """How many positions were saved."""

    accepted = fields.Integer(required=True)


class Location(Schema):
    """A saved position."""

    id = fields.Integer(required=True)
    user_id = fields.Integer(required=True)
    latitude = fields.Float(required=True, metadata={"example": 52.5163})
    longitude = fields.Float(required=True, metadata={"example": 13.3777})
    accuracy = fields.Float(required=True, allow_none=True, metadata={"example": 7.5})
    recorded_at = fields.AwareDateTime(required=True)


class LocationPage(Schema):
    """A page of positions, newest first."""

    items = fields.List(fields.Nested(Location()), required=True)
    next = fields.String(required=True, allow_none=True)


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
    bbox = Box(
        metadata={
            "type": "string",
            "format": "bbox",
            "description": "west,south,east,north in degrees; south not above north.",
            "example": "13.0,52.3,13.8,52.7",
        }
    )
