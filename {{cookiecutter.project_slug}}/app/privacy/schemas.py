"""What an export takes in and gives out."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from app.fields import PlainText

HEADER = "X-Export-Passphrase"
# No blank at either end, where servers drop it, and nothing but ASCII, which every client sends in the same way.
SHAPE = "[!-~][ -~]{10,126}[!-~]"


class ExportHeaders(Schema):
    """How to export."""

    class Meta:
        """A request has many more headers."""

        unknown = EXCLUDE

    passphrase = PlainText(
        data_key=HEADER,
        validate=validate.Regexp(rf"{SHAPE}\Z", error="Must have from 12 to 128 characters of ASCII."),
        metadata={
            "description": "Encrypts the export: from 12 to 128 characters of ASCII.",
            "pattern": f"^{SHAPE}$",
            "example": "twelve plums in a bowl",
        },
    )


class Export(Schema):
    """All that the service holds about the caller."""

    exported_at = fields.AwareDateTime(required=True)
    format_version = fields.Integer(required=True)
    data = fields.Dict(
        keys=fields.String(), required=True, metadata={"description": "By feature: whatever it holds about the caller."}
    )
