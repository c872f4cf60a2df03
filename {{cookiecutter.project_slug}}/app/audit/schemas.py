"""What the audit log's list takes in and gives out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.fields import PastTime, PlainText
from app.pagination import PageQuery


class AuditQuery(PageQuery):
    """Which entries to list; each part narrows it."""

    actor_id = fields.Integer(
        validate=validate.Range(0, 2**63 - 1), metadata={"description": "Who did it: a user's id."}
    )
    action = PlainText(validate=validate.Length(1, 64), metadata={"description": "What was done, like user.signed_in."})
    since = PastTime(metadata={"description": "Not before this time (ISO 8601)."})


class Entry(Schema):
    """One thing that somebody did."""

    id = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    actor_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Who did it; nobody where the service itself did."}
    )
    action = fields.String(required=True, metadata={"example": "user.role_changed"})
    target_type = fields.String(required=True, allow_none=True, metadata={"example": "user"})
    target_id = fields.String(required=True, allow_none=True, metadata={"example": "7"})
    address = fields.String(
        required=True, allow_none=True, metadata={"description": "Where from.", "example": "192.0.2.7"}
    )
    request_id = fields.String(required=True, allow_none=True, metadata={"example": "0f6b0a3c9d1e4b1f"})
    details = fields.Dict(keys=fields.String(), required=True, metadata={"example": {"old": "user", "new": "admin"}})


class EntryPage(Schema):
    """A page of entries, newest first."""

    items = fields.List(fields.Nested(Entry()), required=True)
    next = fields.String(required=True, allow_none=True)
