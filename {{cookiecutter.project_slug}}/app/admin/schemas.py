"""The schema of the statistics."""

from __future__ import annotations

from marshmallow import Schema, fields


class Statistics(Schema):
    """The figures of each feature."""

    at = fields.AwareDateTime(required=True, metadata={"description": "When the figures were counted."})
    features = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String()),
        required=True,
        metadata={"example": {"accounts": {"users_user": 11, "users_admin": 1, "sessions": 4}}},
    )
