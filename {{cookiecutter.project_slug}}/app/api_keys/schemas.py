"""What API keys take in and give out."""

from __future__ import annotations

from collections.abc import Sequence

from marshmallow import Schema, ValidationError, fields, validate

from app.fields import Input, PlainText, Whole
from app.security.access import SCOPES

LONGEST_LIFE = 365  # days


def once_each(scopes: Sequence[str]) -> None:
    """Refuse a list that names a scope twice."""
    if len(set(scopes)) != len(scopes):
        raise ValidationError("Must name each scope once.")


class NewApiKey(Input):
    """A key to be made."""

    name = PlainText(
        required=True,
        validate=validate.Length(1, 100),
        metadata={"description": "What it is for.", "example": "The weather station"},
    )
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)),
        required=True,
        validate=[validate.Length(1, len(SCOPES)), once_each],
        metadata={"description": "What it may be used for.", "uniqueItems": True},
    )
    expires_in_days = Whole(
        validate=validate.Range(1, LONGEST_LIFE, error=f"Must be from 1 to {LONGEST_LIFE} days."),
        metadata={"description": "Days until it is good no more; it stays good if left out."},
    )


class ApiKey(Schema):
    """A key, without what is secret about it."""

    id = fields.Integer(required=True)
    prefix = fields.String(required=True, metadata={"description": "How the key begins.", "example": "fsk_k3v9x0qa"})
    name = fields.String(required=True, metadata={"example": "The weather station"})
    scopes = fields.List(fields.String(validate=validate.OneOf(SCOPES)), required=True)
    created_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)
    last_used_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "To the minute, about."}
    )


class MadeApiKey(ApiKey):
    """A new key, with the key itself."""

    key = fields.String(required=True, metadata={"description": "Shown this once: keep it where secrets are kept."})


class ApiKeyPage(Schema):
    """A page of keys, newest first."""

    items = fields.List(fields.Nested(ApiKey()), required=True)
    next = fields.String(required=True, allow_none=True)
