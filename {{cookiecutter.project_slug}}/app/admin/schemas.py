"""What the admins' routes take in and give out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.accounts.models import ROLES
from app.accounts.schemas import Email, Profile
from app.fields import Input
from app.pagination import PageQuery


class UserQuery(PageQuery):
    """Which users to list; each part narrows it."""

    email = Email(validate=validate.Length(max=254), metadata={"description": "The whole address."})
    role = fields.String(validate=validate.OneOf(ROLES))


class Role(Input):
    """What somebody may do."""

    role = fields.String(required=True, validate=validate.OneOf(ROLES), metadata={"example": "user"})


class Nothing(Input):
    """No body, or an empty object."""


class User(Profile):
    """A user as admins see it."""

    updated_at = fields.AwareDateTime(required=True)
    last_login_at = fields.AwareDateTime(required=True, allow_none=True)


class UserPage(Schema):
    """A page of users, newest first."""

    items = fields.List(fields.Nested(User()), required=True)
    next = fields.String(required=True, allow_none=True)


class Statistics(Schema):
    """Figures of each feature."""

    at = fields.AwareDateTime(required=True, metadata={"description": "When they were counted."})
    features = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String()),
        required=True,
        metadata={"example": {"accounts": {"users_user": 11, "users_admin": 1, "sessions": 4}}},
    )
