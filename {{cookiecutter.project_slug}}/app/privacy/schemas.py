"""Request and response schemas of privacy."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from app.platform.api.fields import PlainText

EXPORT_HEADER = "X-Export-Passphrase"
# ASCII only: clients encode other characters in different ways. No blank at either end: servers remove it.
PATTERN = "[!-~][ -~]{10,126}[!-~]"


class ExportHeaders(Schema):
    """Headers of a data export."""

    class Meta:
        """A request has other headers too."""

        unknown = EXCLUDE

    passphrase = PlainText(
        data_key=EXPORT_HEADER,
        validate=validate.Regexp(rf"{PATTERN}\Z", error="Must have from 12 to 128 characters of ASCII."),
        metadata={
            "description": "Encrypts the export: from 12 to 128 characters of ASCII.",
            "pattern": f"^{PATTERN}$",
            "example": "twelve plums in a bowl",
        },
    )


class Export(Schema):
    """All data that the service holds about the caller."""

    exported_at = fields.AwareDateTime(required=True)
    format_version = fields.Integer(required=True)
    data = fields.Dict(
        keys=fields.String(), required=True, metadata={"description": "The data of the caller, by feature."}
    )


class ErasureBegun(Schema):
    """The account is closed, and its data is being deleted."""

    message = fields.String(required=True)
