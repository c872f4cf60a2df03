"""What files and tests take in and give out."""

from __future__ import annotations

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import Schema, ValidationError, fields, validate
from werkzeug.datastructures import FileStorage

from app.data_files.content import BadName, clean_name
from app.data_files.models import STATUSES
from app.fields import Input


class UploadedFile(Upload):
    """A file with a name and something in it; gives both, the name as it is to be kept."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> FileStorage:
        del attr, data, kwargs
        if not isinstance(value, FileStorage):
            raise ValidationError("Must be a file: a part of the form that names one.")
        try:
            name = clean_name(value.filename or "")
        except BadName as error:
            raise ValidationError(str(error)) from None
        if not value.stream.read(1):
            raise ValidationError("Must not be empty.")
        value.stream.seek(0)
        return FileStorage(value.stream, name)


class NewFile(Input):
    """A file to be kept: CSV, or JSON (a list of objects, one object, or one on each line), as UTF-8 text."""

    file = UploadedFile(
        required=True,
        metadata={
            "description": "Named .csv, .txt, .json, .jsonl or .ndjson, or none.",
            "example": "name,born\nAda,1815-12-10\n",
        },
    )


class NewTest(Input):
    """A test takes no options."""


class File(Schema):
    """A file that is kept."""

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
            "description": "integer, number, boolean, time, text or nested; mixed where values differ, else empty.",
            "example": "number",
        },
    )
    missing = fields.Integer(required=True, metadata={"description": "In how many rows there is no value."})


class FoundProblem(Schema):
    """Something that is wrong with a file."""

    row = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Which row, the first after the column names being 1; null: none in particular."},
    )
    message = fields.String(required=True)


class Report(Schema):
    """What a test has found."""

    rows = fields.Integer(required=True)
    columns = fields.List(fields.Nested(Column()), required=True)
    problems = fields.List(fields.Nested(FoundProblem()), required=True, metadata={"description": "The first 20."})
    problem_count = fields.Integer(required=True)


class Test(Schema):
    """A test of a file. Ask for it again until its status is `passed` or `failed`."""

    id = fields.Integer(required=True)
    data_file_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The file; null once it has been deleted."}
    )
    file_name = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    report = fields.Nested(Report(), required=True, allow_none=True)
    attempts = fields.Integer(
        required=True, metadata={"description": "How often it was begun; more than 1 after a crash."}
    )
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)


class TestPage(Schema):
    """A page of tests, newest first."""

    items = fields.List(fields.Nested(Test()), required=True)
    next = fields.String(required=True, allow_none=True)
