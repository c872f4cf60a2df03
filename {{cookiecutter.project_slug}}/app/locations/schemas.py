"""Request and response schemas of locations."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from app.platform.api.fields import BoundedList, PastDateTime, RequestSchema, StrictBoolean, StrictFloat
from app.platform.api.pagination import PageQuery
from app.platform.decimals import DecimalInteger, DecimalNumber

MAX_BATCH = 1000
EARTH_RADIUS = 6_371_000  # metres; upper bound of an accuracy
BOX_MESSAGE = "Must be west,south,east,north in degrees, south not above north."

latitude = validate.Range(-90, 90, error="Must be from -90 to 90 degrees.")
longitude = validate.Range(-180, 180, error="Must be from -180 to 180 degrees.")


class Position(RequestSchema):
    """A current or past position of the caller."""

    latitude = StrictFloat(
        required=True, validate=latitude, metadata={"description": "Degrees north, WGS 84.", "example": 52.5163}
    )
    longitude = StrictFloat(
        required=True, validate=longitude, metadata={"description": "Degrees east, WGS 84.", "example": 13.3777}
    )
    accuracy = StrictFloat(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, EARTH_RADIUS, error=f"Must be from 0 to {EARTH_RADIUS} metres."),
        metadata={"description": "Radius of uncertainty in metres.", "example": 7.5},
    )
    recorded_at = PastDateTime(
        metadata={"description": "Time of the position; default: now. Not before 2000, not in the future."}
    )


class Batch(RequestSchema):
    """Several positions of the caller."""

    locations = BoundedList(fields.Nested(Position()), 1, MAX_BATCH, required=True)


class Accepted(Schema):
    """The number of saved positions."""

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


class SharingChange(RequestSchema):
    """Whether other users may see the caller's latest position."""

    shared = StrictBoolean(required=True, metadata={"example": True})


class Sharing(Schema):
    """Whether other users see the caller's latest position, and since when."""

    shared = fields.Boolean(required=True)
    since = fields.AwareDateTime(required=True, allow_none=True, metadata={"description": "null if not shared."})


DECIMAL_NUMBER = DecimalNumber()


class BoundingBox(fields.Field[tuple[float, ...]]):
    """`west,south,east,north` in degrees; west is greater than east if the box crosses the 180th meridian."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[float, ...]:
        del attr, data, kwargs
        try:
            west, south, east, north = (DECIMAL_NUMBER.deserialize(part) for part in str(value).split(","))
            for degrees, bound in ((west, longitude), (east, longitude), (south, latitude), (north, latitude)):
                bound(degrees)
        except (ValueError, ValidationError):
            raise ValidationError(BOX_MESSAGE) from None
        if not south <= north:
            raise ValidationError(BOX_MESSAGE)
        return west, south, east, north


class ActiveQuery(PageQuery):
    """Selects the users that count as active."""

    minutes = DecimalInteger(
        load_default=5,
        validate=validate.Range(1, 1440),
        metadata={"description": "Maximum age of the latest position, in minutes."},
    )
    bbox = BoundingBox(
        metadata={
            "type": "string",
            "format": "bbox",
            "description": "west,south,east,north in degrees; south not above north.",
            "example": "13.0,52.3,13.8,52.7",
        }
    )
