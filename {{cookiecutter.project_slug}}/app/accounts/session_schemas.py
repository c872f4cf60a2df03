"""Request and response schemas of sessions."""

from __future__ import annotations

from marshmallow import Schema, fields

from app.accounts.schemas import ANY_PASSWORD, EXAMPLE_PASSWORD
from app.platform.api.fields import PlainText, RequestSchema


class PasswordProof(RequestSchema):
    """The password of the caller."""

    password = PlainText(required=True, load_only=True, validate=ANY_PASSWORD, metadata=EXAMPLE_PASSWORD)


class OwnSession(Schema):
    """An active session of the caller."""

    id = fields.Integer(required=True, metadata={"example": 12})
    created_at = fields.AwareDateTime(required=True, metadata={"description": "When the caller signed in."})
    refreshed_at = fields.AwareDateTime(
        required=True, metadata={"description": "When the session got its newest tokens."}
    )
    authenticated_at = fields.AwareDateTime(
        required=True, metadata={"description": "When the caller last proved the password in this session."}
    )
    expires_at = fields.AwareDateTime(
        required=True, metadata={"description": "When the session expires; each refresh moves it, up to a limit."}
    )
    address = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The address of the client at the sign-in.", "example": "192.0.2.7"},
    )
    user_agent = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The program at the sign-in, shortened.", "example": "curl/8.5.0"},
    )
    current = fields.Boolean(required=True, metadata={"description": "Whether it is the session of this request."})


class SessionPage(Schema):
    """A page of sessions, newest first."""

    items = fields.List(fields.Nested(OwnSession()), required=True)
    next = fields.String(required=True, allow_none=True)
