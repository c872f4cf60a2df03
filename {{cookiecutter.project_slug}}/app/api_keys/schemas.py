"""Request and response schemas of API keys."""

from __future__ import annotations

from collections.abc import Sequence

from flask import current_app
from marshmallow import Schema, ValidationError, fields, validate

from app.api_keys.settings import ApiKeysSettings
from app.platform.api.fields import BoundedList, RequestSchema, Scope, StrictInteger, VisibleText
from app.platform.api.pagination import PageQuery
from app.platform.decimals import DecimalInteger
from app.platform.settings.declarations import settings_of

MAX_LIFETIME_DAYS = 365
MAX_SCOPES = 50


def check_unique(scopes: Sequence[str]) -> None:
    """Reject a list that contains a scope twice."""
    if len(set(scopes)) != len(scopes):
        raise ValidationError("Must contain each scope only once.")


def check_lifetime(days: int) -> None:
    """Reject a lifetime that exceeds `API_KEY_MAX_DAYS`."""
    maximum = settings_of(current_app, ApiKeysSettings).API_KEY_MAX_DAYS
    if not 1 <= days <= maximum:
        raise ValidationError(f"Must be from 1 to {maximum} days.")


class NewApiKey(RequestSchema):
    """A key to create."""

    name = VisibleText(
        required=True,
        validate=validate.Length(1, 100),
        metadata={"description": "The purpose of the key.", "example": "The weather station"},
    )
    scopes = BoundedList(
        Scope(),
        1,
        MAX_SCOPES,
        checks=[check_unique],
        required=True,
        metadata={"description": "What the key may be used for.", "uniqueItems": True},
    )
    expires_in_days = StrictInteger(
        validate=check_lifetime,
        metadata={
            "minimum": 1,
            "maximum": MAX_LIFETIME_DAYS,
            "description": "Days until expiry, at most API_KEY_MAX_DAYS; default: API_KEY_DAYS (settings).",
        },
    )


class ApiKey(Schema):
    """A key, without its secret part."""

    id = fields.Integer(required=True)
    prefix = fields.String(
        required=True, metadata={"description": "The first 12 characters of the key.", "example": "fsk_k3v9x0qa"}
    )
    name = fields.String(required=True, metadata={"example": "The weather station"})
    scopes = fields.List(Scope(), required=True)
    created_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)
    last_used_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "Accurate to about a minute."}
    )


class CreatedApiKey(ApiKey):
    """A new key, with its secret part."""

    key = fields.String(
        required=True, metadata={"description": "The complete key. It is shown only once: store it safely."}
    )


class AdminApiKeyQuery(PageQuery):
    """Filters for the list of the keys of all users."""

    user_id = DecimalInteger(
        validate=validate.Range(0, 2**63 - 1), metadata={"description": "The id of the user who owns the keys."}
    )


class AdminApiKey(ApiKey):
    """A key, as shown to admins."""

    user_id = fields.Integer(required=True)
    revoked_at = fields.AwareDateTime(required=True, allow_none=True)


class AdminApiKeyPage(Schema):
    """A page of the keys of all users, newest first."""

    items = fields.List(fields.Nested(AdminApiKey()), required=True)
    next = fields.String(required=True, allow_none=True)


class ApiKeyPage(Schema):
    """A page of keys, newest first."""

    items = fields.List(fields.Nested(ApiKey()), required=True)
    next = fields.String(required=True, allow_none=True)
