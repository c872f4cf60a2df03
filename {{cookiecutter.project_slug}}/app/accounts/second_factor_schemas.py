"""Request and response schemas of the second factor, and of the confirmation and change of e-mail addresses."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.accounts.schemas import ANY_PASSWORD, EXAMPLE_PASSWORD, EXAMPLE_TOKEN, TOKEN_LENGTH, NewEmail, Tokens
from app.platform.api.fields import PlainText, RequestSchema

EXAMPLE_RECOVERY_CODE = "k3w5zq-ab7mxe-pl2vhd-t6nyrc"


def current_password() -> PlainText:
    """Return a required field for the current password."""
    return PlainText(required=True, load_only=True, validate=ANY_PASSWORD, metadata=EXAMPLE_PASSWORD)


def code(*, required: bool) -> PlainText:
    """Return a field for a code of the app."""
    rules = [validate.Length(6, 6), validate.Regexp(r"[0-9]{6}\Z", error="Must be six digits.")]
    metadata = {"pattern": "^[0-9]{6}$", "example": "492039"}
    return PlainText(required=required, load_only=True, validate=rules, metadata=metadata)


def recovery_code() -> PlainText:
    """Return an optional field for a recovery code."""
    metadata = {"example": EXAMPLE_RECOVERY_CODE, "description": "Replaces `code` if the app is lost; valid once."}
    return PlainText(load_only=True, validate=validate.Length(1, 64), metadata=metadata)


class EmailToken(RequestSchema):
    """The token from an e-mail."""

    token = PlainText(required=True, load_only=True, validate=TOKEN_LENGTH, metadata=EXAMPLE_TOKEN)


class EmailChange(NewEmail):
    """The current password and the new e-mail address."""

    current_password = current_password()


class TotpEnrolment(RequestSchema):
    """The current password."""

    current_password = current_password()


class TotpSecret(Schema):
    """The secret of a second factor, which takes effect when a code confirms it."""

    secret = fields.String(required=True, metadata={"example": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"})
    otpauth_uri = fields.String(
        required=True,
        metadata={
            "description": "The content of the QR code that authenticator apps read.",
            "example": "otpauth://totp/service:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=service",
        },
    )


class TotpCode(RequestSchema):
    """A code of the app."""

    code = code(required=True)


class TotpProof(RequestSchema):
    """The current password, and a code or a recovery code."""

    current_password = current_password()
    code = code(required=False)
    recovery_code = recovery_code()


class TotpState(Schema):
    """Whether the account has a second factor."""

    enabled_at = fields.AwareDateTime(required=True, allow_none=True, metadata={"description": "Null: there is none."})
    recovery_codes_left = fields.Integer(required=True, metadata={"example": 10})


class RecoveryCodes(Schema):
    """The recovery codes of a second factor."""

    recovery_codes = fields.List(
        fields.String(metadata={"example": EXAMPLE_RECOVERY_CODE}),
        required=True,
        metadata={"description": "Each replaces a code once. They are not shown again."},
    )


class SecondFactor(RequestSchema):
    """The token of the first step of a sign-in, and a code or a recovery code."""

    mfa_token = PlainText(required=True, load_only=True, validate=TOKEN_LENGTH, metadata=EXAMPLE_TOKEN)
    code = code(required=False)
    recovery_code = recovery_code()


class SecondFactorDue(Schema):
    """The password is right, and a second factor is due."""

    mfa_required = fields.Boolean(required=True, validate=validate.Equal(comparable=True), metadata={"example": True})
    mfa_token = fields.String(
        required=True, metadata={**EXAMPLE_TOKEN, "description": "For `POST /auth/login/totp`, within 5 minutes."}
    )


SIGN_IN_RESULT = {"oneOf": [Tokens(), SecondFactorDue()]}
