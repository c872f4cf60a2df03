"""Request and response schemas of accounts."""

from __future__ import annotations

from typing import Any

from flask import current_app
from marshmallow import Schema, ValidationError, fields, validate, validates, validates_schema

from app.accounts import erasure
from app.accounts.email_addresses import INVALID, MAX_LENGTH, InvalidEmail, normalize_email
from app.accounts.models import ROLES
from app.accounts.password_rules import MAX_LENGTH as MAX_PASSWORD_LENGTH
from app.accounts.password_rules import MIN_LENGTH, UNCHANGED, UnsuitablePassword, check_personal, general_problem
from app.platform.api.fields import PlainText, RequestSchema, StrictBoolean, VisibleText
from app.platform.api.pagination import PageQuery
from app.platform.settings.declarations import settings_of

PASSWORD_LENGTH = validate.Length(
    MIN_LENGTH, MAX_PASSWORD_LENGTH, error=f"Must have from {MIN_LENGTH} to {MAX_PASSWORD_LENGTH} characters."
)
ANY_PASSWORD = validate.Length(1, MAX_PASSWORD_LENGTH)
TOKEN_LENGTH = validate.Length(1, 4096)
NAME_LENGTH = validate.Length(1, 100)
EXAMPLE_PASSWORD = {"format": "password", "example": "correct horse battery staple"}
EXAMPLE_TOKEN = {"example": "eyJhbGciOiJIUzI1NiIsInR5cCI6Ii4uLiJ9.e30.c2lnbmF0dXJl"}


class Email(fields.Email):
    """An e-mail address; loads in its normal form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(max=MAX_LENGTH), **kwargs)

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            return normalize_email(text)
        except InvalidEmail as error:
            raise ValidationError(str(error)) from None


def check_suitable(password: str) -> None:
    """Reject a password that no account may have."""
    if problem := general_problem(password, settings_of(current_app).SERVICE_NAME):
        raise ValidationError(problem)


def new_password(example: str = EXAMPLE_PASSWORD["example"]) -> PlainText:
    """Return a required field for a password that an account may have."""
    metadata = {**EXAMPLE_PASSWORD, "example": example}
    return PlainText(required=True, load_only=True, validate=[PASSWORD_LENGTH, check_suitable], metadata=metadata)


def email() -> Email:
    """Return a required field for an e-mail address."""
    return Email(required=True, metadata={"example": "ada@example.com"})


class Credentials(RequestSchema):
    """E-mail and password."""

    email = email()
    password = PlainText(required=True, load_only=True, validate=ANY_PASSWORD, metadata=EXAMPLE_PASSWORD)


class NewEmail(RequestSchema):
    """The new e-mail address of an account."""

    email = email()

    @validates("email")
    def check_reachable(self, value: str, **_: object) -> None:
        """Reject an address to which no server can send: its owner could never reset the password."""
        if value.endswith(erasure.SUFFIX):
            raise ValidationError(INVALID)
        if not value.isascii() and not settings_of(current_app).MAIL_SMTPUTF8:
            raise ValidationError(
                "Must have only ASCII characters before the @: the service cannot send mail to others."
            )


class Registration(NewEmail):
    """A new account."""

    password = new_password()
    display_name = VisibleText(validate=NAME_LENGTH, metadata={"example": "Ada"})

    @validates_schema
    def check_password(self, data: dict[str, Any], **_: object) -> None:
        """Reject the e-mail address as the password."""
        try:
            check_personal(data["password"], data["email"])
        except UnsuitablePassword as error:
            raise ValidationError(str(error), "password") from None


class RefreshToken(RequestSchema):
    """A refresh token to exchange."""

    refresh_token = PlainText(required=True, load_only=True, validate=TOKEN_LENGTH, metadata=EXAMPLE_TOKEN)


class Logout(RequestSchema):
    """The sessions to end."""

    everywhere = StrictBoolean(
        load_default=False, metadata={"description": "End all sessions of the user, not only this one."}
    )


class PasswordChange(RequestSchema):
    """The current and the new password."""

    current_password = PlainText(required=True, load_only=True, validate=ANY_PASSWORD, metadata=EXAMPLE_PASSWORD)
    new_password = new_password("another horse, another staple")

    @validates_schema
    def check_changed(self, data: dict[str, str], **_: object) -> None:
        """Reject the current password as the new one."""
        if data["new_password"] == data["current_password"]:
            raise ValidationError(UNCHANGED, "new_password")


class ForgotPassword(RequestSchema):
    """The e-mail address of the account."""

    email = email()


class PasswordReset(RequestSchema):
    """The token from the e-mail and the new password."""

    token = PlainText(required=True, load_only=True, validate=TOKEN_LENGTH, metadata=EXAMPLE_TOKEN)
    new_password = new_password()


class ProfileChange(RequestSchema):
    """The fields of a profile that can be changed; omitted fields keep their values."""

    display_name = VisibleText(allow_none=True, validate=NAME_LENGTH, metadata={"example": "Ada"})
    processing_restricted = StrictBoolean(
        metadata={"description": "Keep the user's data, but do not show it to others (GDPR, article 18)."}
    )


class Profile(Schema):
    """A user, as shown to the user."""

    id = fields.Integer(required=True, metadata={"example": 1})
    email = fields.String(required=True, metadata={"example": "ada@example.com"})
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    display_name = fields.String(required=True, allow_none=True, metadata={"example": "Ada"})
    processing_restricted = fields.Boolean(required=True, metadata={"example": False})
    created_at = fields.AwareDateTime(required=True, metadata={"example": "2026-01-02T03:04:05.678901+00:00"})


class Tokens(Schema):
    """Access and refresh token; member names from RFC 6749 section 5.1."""

    access_token = fields.String(required=True, metadata=EXAMPLE_TOKEN)
    refresh_token = fields.String(
        required=True, metadata={**EXAMPLE_TOKEN, "description": "Valid once: exchanging it returns the next one."}
    )
    token_type = fields.String(required=True, validate=validate.Equal("Bearer"), metadata={"example": "Bearer"})
    expires_in = fields.Integer(
        required=True, metadata={"description": "Lifetime of the access token in seconds.", "example": 900}
    )


class Message(Schema):
    """A message for the user."""

    message = fields.String(required=True)


class UserQuery(PageQuery):
    """Filters for the list of users."""

    email = Email(metadata={"description": "The complete e-mail address."})
    role = fields.String(validate=validate.OneOf(ROLES))
    suspended = fields.Boolean(
        truthy={"true"}, falsy={"false"}, metadata={"description": "Only suspended users, or only others."}
    )


class RoleChange(RequestSchema):
    """The new role of a user."""

    role = fields.String(required=True, validate=validate.OneOf(ROLES), metadata={"example": "user"})


class EmptyBody(RequestSchema):
    """No body, or an empty object."""


class UserRecord(Profile):
    """A user, as shown to admins."""

    updated_at = fields.AwareDateTime(required=True)
    last_login_at = fields.AwareDateTime(required=True, allow_none=True)
    suspended_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "When the user was suspended; null: not suspended."}
    )


class UserPage(Schema):
    """A page of users, newest first."""

    items = fields.List(fields.Nested(UserRecord()), required=True)
    next = fields.String(required=True, allow_none=True)
