"""Request and response schemas of files and tests."""

from __future__ import annotations

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import Schema, ValidationError, fields, validate
from werkzeug.datastructures import FileStorage

from app.data_files.content import InvalidFileName, clean_name
from app.data_files.models import STATUSES
from app.platform.api.fields import RequestSchema


class UploadedFile(Upload):
    """A file with a valid name and content; loads as a `FileStorage` with the cleaned name."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> FileStorage:
        del attr, data, kwargs
        if not isinstance(value, FileStorage):
            raise ValidationError("Must be a file: a form part with a file name.")
        try:
            name = clean_name(value.filename or "")
        except InvalidFileName as error:
            raise ValidationError(str(error)) from None
        if not value.stream.read(1):
            raise ValidationError("Must not be empty.")
        value.stream.seek(0)
        return FileStorage(value.stream, name)


class NewFile(RequestSchema):
    """A file to store: CSV or JSON (a list of objects, one object, or one object per line), as UTF-8 text."""

    file = UploadedFile(
        required=True,
        metadata={
            "description": "The name ends in .csv, .txt, .json, .jsonl or .ndjson, or has no extension.",
            "example": "name,born\nAda,1815-12-10\n",
        },
    )


class NewTest(RequestSchema):
    """A test takes no options."""


class File(Schema):
    """A stored file."""

    id = fields.Integer(required=True)
    name = fields.String(required=True, metadata={"example": "positions.csv"})
    media_type = fields.String(required=True, metadata={"example": "text/csv"})
    size = fields.Integer(required=True, metadata={"description": "Bytes."})
    sha256 = fields.String(
        required=True,
        metadata={
            "description": "The SHA-256 checksum of the content, in hexadecimal digits.",
            "example": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
    )
    created_at = fields.AwareDateTime(required=True)


class FilePage(Schema):
    """A page of files, newest first."""

    items = fields.List(fields.Nested(File()), required=True)
    next = fields.String(required=True, allow_none=True)


class Column(Schema):
    """A column of a file, or a member of its objects."""

    name = fields.String(required=True)
    type = fields.String(
        required=True,
        metadata={
            "description": "integer, number, boolean, time, text, nested, mixed (types differ) or empty (no value).",
            "example": "number",
        },
    )
    missing = fields.Integer(required=True, metadata={"description": "Rows without a value."})


class FoundProblem(Schema):
    """A problem of a file."""

    row = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "The row, counted from 1 after the column names; null for the whole file."},
    )
    message = fields.String(required=True)


class Report(Schema):
    """The result of a test."""

    rows = fields.Integer(required=True)
    columns = fields.List(fields.Nested(Column()), required=True)
    problems = fields.List(fields.Nested(FoundProblem()), required=True, metadata={"description": "The first 20."})
    problem_count = fields.Integer(required=True)


class Test(Schema):
    """A test of a file. Request it again until its status is `passed` or `failed`."""

    id = fields.Integer(required=True)
    data_file_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The file; null after it is deleted."}
    )
    file_name = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    report = fields.Nested(Report(), required=True, allow_none=True)
    attempts = fields.Integer(
        required=True, metadata={"description": "How often it was started; more than 1 after a crash."}
    )
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)


class TestPage(Schema):
    """A page of tests, newest first."""

    items = fields.List(fields.Nested(Test()), required=True)
    next = fields.String(required=True, allow_none=True)
