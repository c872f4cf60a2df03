"""What accounts take in and give out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.accounts.models import ROLES
from app.fields import Flag, Input, PlainText

# NIST SP 800-63B asks for at least 8 and at least 64 allowed; the upper bound keeps hashing from being made work.
PASSWORD_LENGTH = validate.Length(10, 128, error="Must have from 10 to 128 characters.")
ANY_PASSWORD = validate.Length(1, 128)
TOKEN_LENGTH = validate.Length(1, 4096)
NAME_LENGTH = validate.Length(1, 100)
EXAMPLE_PASSWORD = {"format": "password", "example": "correct horse battery staple"}
EXAMPLE_TOKEN = {"example": "eyJhbGciOiJIUzI1NiIsInR5cCI6Ii4uLiJ9.e30.c2lnbmF0dXJl"}


class Email(fields.Email):
    """An e-mail address in lower case, at most 254 characters (RFC 5321)."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        return text.lower()


def email() -> Email:
    """The field of somebody's e-mail."""
    return Email(required=True, validate=validate.Length(max=254), metadata={"example": "ada@example.com"})


class Credentials(Input):
    """E-mail and password."""

    email = email()
    password = PlainText(required=True, load_only=True, validate=ANY_PASSWORD, metadata=EXAMPLE_PASSWORD)


class Registration(Input):
    """A new account."""

    email = email()
    password = PlainText(required=True, load_only=True, validate=PASSWORD_LENGTH, metadata=EXAMPLE_PASSWORD)
    display_name = PlainText(validate=NAME_LENGTH, metadata={"example": "Ada"})


class RefreshToken(Input):
    """A refresh token, to be exchanged."""

    refresh_token = PlainText(required=True, load_only=True, validate=TOKEN_LENGTH, metadata=EXAMPLE_TOKEN)


class SignOut(Input):
    """Which sessions to end."""

    everywhere = Flag(load_default=False, metadata={"description": "All sessions, not only this one."})


class PasswordChange(Input):
    """The present password and the next."""

    current_password = PlainText(required=True, load_only=True, validate=ANY_PASSWORD, metadata=EXAMPLE_PASSWORD)
    new_password = PlainText(
        required=True,
        load_only=True,
        validate=PASSWORD_LENGTH,
        metadata={"format": "password", "example": "another horse, another staple"},
    )


class ForgottenPassword(Input):
    """Whose password is forgotten."""

    email = email()


class PasswordReset(Input):
    """The token of the mail, and the next password."""

    token = PlainText(required=True, load_only=True, validate=TOKEN_LENGTH, metadata=EXAMPLE_TOKEN)
    new_password = PlainText(required=True, load_only=True, validate=PASSWORD_LENGTH, metadata=EXAMPLE_PASSWORD)


class ProfileChange(Input):
    """What of a profile can be changed; what is left out stays."""

    display_name = PlainText(allow_none=True, validate=NAME_LENGTH, metadata={"example": "Ada"})


class Profile(Schema):
    """A user as the user sees it."""

    id = fields.Integer(required=True, metadata={"example": 1})
    email = fields.String(required=True, metadata={"example": "ada@example.com"})
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    display_name = fields.String(required=True, allow_none=True, metadata={"example": "Ada"})
    created_at = fields.AwareDateTime(required=True, metadata={"example": "2026-01-02T03:04:05.678901+00:00"})


class Tokens(Schema):
    """What signing in gives (names of RFC 6749 section 5.1)."""

    access_token = fields.String(required=True, metadata=EXAMPLE_TOKEN)
    refresh_token = fields.String(
        required=True, metadata={**EXAMPLE_TOKEN, "description": "Good once: exchanging it gives the next."}
    )
    token_type = fields.String(required=True, validate=validate.Equal("Bearer"), metadata={"example": "Bearer"})
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds.", "example": 900})


class Sent(Schema):
    """What is known of a mail that may be on its way."""

    message = fields.String(required=True)
