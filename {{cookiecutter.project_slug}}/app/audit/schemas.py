"""Request and response schemas of the audit log."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.platform.api.fields import PastDateTime, PlainText
from app.platform.api.pagination import PageQuery
from app.platform.decimals import DecimalInteger

TARGET = "[a-z_]{1,64}:[A-Za-z0-9_-]{1,64}"


class AuditQuery(PageQuery):
    """Filters for the list of entries; an entry must match all of them."""

    actor_id = DecimalInteger(
        validate=validate.Range(0, 2**63 - 1), metadata={"description": "The id of the user who acted."}
    )
    action = PlainText(
        validate=validate.Length(1, 64), metadata={"description": "The action, for example user.signed_in."}
    )
    target = PlainText(
        validate=validate.Regexp(TARGET + r"\Z", error="Must be the kind and the id of the target, like user:7."),
        metadata={"description": "The kind and the id of the target.", "pattern": f"^{TARGET}$", "example": "user:7"},
    )
    since = PastDateTime(metadata={"description": "The earliest time of an entry (ISO 8601)."})
    until = PastDateTime(metadata={"description": "The time before which an entry was made (ISO 8601)."})


class Entry(Schema):
    """One action."""

    id = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    actor_id = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "The id of the user who acted; null if the service itself acted."},
    )
    action = fields.String(required=True, metadata={"example": "user.role_changed"})
    target_type = fields.String(required=True, allow_none=True, metadata={"example": "user"})
    target_id = fields.String(required=True, allow_none=True, metadata={"example": "7"})
    address = fields.String(
        required=True, allow_none=True, metadata={"description": "The client address.", "example": "192.0.2.7"}
    )
    request_id = fields.String(required=True, allow_none=True, metadata={"example": "0f6b0a3c9d1e4b1f"})
    details = fields.Dict(keys=fields.String(), required=True, metadata={"example": {"old": "user", "new": "admin"}})


class EntryPage(Schema):
    """A page of entries, newest first."""

    items = fields.List(fields.Nested(Entry()), required=True)
    next = fields.String(required=True, allow_none=True)
