"""What accounts take in and give out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.accounts.models import ROLES
from app.fields import PlainText

# NIST SP 800-63B asks for at least 8 and at least 64 allowed; the upper bound keeps hashing from being made work.
PASSWORD_LENGTH = validate.Length(10, 128, error="Must have from 10 to 128 characters.")


class Email(fields.Email):
    """An e-mail address in lower case, at most 254 characters (RFC 5321)."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        return text.lower()


class Credentials(Schema):
    """E-mail and password."""

    email = Email(required=True, validate=validate.Length(max=254))
    password = PlainText(required=True, load_only=True, validate=validate.Length(1, 128))


class Registration(Schema):
    """A new account."""

    email = Email(required=True, validate=validate.Length(max=254))
    password = PlainText(required=True, load_only=True, validate=PASSWORD_LENGTH)
    display_name = PlainText(validate=validate.Length(1, 100))


class Profile(Schema):
    """A user as the user sees it."""

    id = fields.Integer()
    email = fields.String()
    role = fields.String(validate=validate.OneOf(ROLES))
    display_name = fields.String(allow_none=True)
    created_at = fields.AwareDateTime()


class AccessToken(Schema):
    """What signing in gives (names of RFC 6749 section 5.1)."""

    access_token = fields.String()
    token_type = fields.String()
    expires_in = fields.Integer(metadata={"description": "Seconds."})
