"""Reads an upload: a multipart form with a file, in little memory and within the limits of the settings."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from tempfile import gettempdir
from typing import IO, Any

from flask import Request, current_app
from marshmallow import RAISE, Schema
from werkzeug.datastructures import CombinedMultiDict, FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from app.data_files import service
from app.data_files.problem_types import FILE_TOO_LARGE, STORAGE_QUOTA_REACHED
from app.data_files.settings import DataFilesSettings
from app.platform.api.blueprints import Blueprint
from app.platform.api.request_parsing import MALFORMED_BODY, StrictParser
from app.platform.database.base import db
from app.platform.security.access import current_caller
from app.platform.settings.declarations import settings_of
from app.platform.web.problem_types import MALFORMED_REQUEST, UNSUPPORTED_MEDIA_TYPE, VALIDATION_FAILED
from app.platform.web.problems import Problem, service_unavailable

FORM_BYTES = 16 * 1024  # of a form besides its files
FIELD_BYTES = 256 * 1024  # of a text field; werkzeug also checks its 64 KiB blocks of a file against this limit
PARTS = 10
NO_SPACE = "There is no disk space for the file. Try again shortly."

Form = CombinedMultiDict[str, Any]


class StrictFormDataParser(FormDataParser):
    """Raises `ValueError` for a malformed form and closes its files; werkzeug returns an empty form instead."""

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        """Parse a form. Flask closes the files of a parsed form after the request, not those of a malformed form."""
        self.silent = False
        open_file = self.stream_factory
        with ExitStack() as opened:
            self.stream_factory = lambda *args, **part: opened.enter_context(open_file(*args, **part))
            form = super().parse(stream, mimetype, content_length, options)
            opened.pop_all()
        return form


class UploadParser(StrictParser):
    """Reads forms as strictly as JSON: rejects fields that the schema does not name, and fields sent twice."""

    def load_files(self, req: Request, schema: Schema) -> Any:
        """Return the text fields and files of a form; webargs's own method returns the files only."""
        if req.mimetype != "multipart/form-data":
            raise Problem(UNSUPPORTED_MEDIA_TYPE, "Send a form with a file, as multipart/form-data.")
        _reject_before_reading(req.content_length or 0)
        form = _read_form(req, settings_of(current_app, DataFilesSettings).UPLOAD_MAX_BYTES)
        if duplicates := [name for name in form if len(form.getlist(name)) > 1]:
            raise Problem(
                VALIDATION_FAILED,
                "The form names a field twice.",
                errors={name: ["Must be sent once."] for name in duplicates},
            )
        return self._makeproxy(form, schema)


class UploadBlueprint(Blueprint):
    """A blueprint whose routes accept uploads."""

    ARGUMENTS_PARSER = UploadParser(unknown=RAISE)


def _reject_before_reading(length: int) -> None:
    """Reject an upload that exceeds the caller's quota or the free space for it; `length` is that of the body."""
    session, quota = db.session(), settings_of(current_app, DataFilesSettings).MAX_STORAGE_BYTES_PER_USER
    left = service.bytes_left(session, current_caller().user_id, quota)
    session.rollback()  # reading an upload can be slow and needs no database connection
    if not left or length - FORM_BYTES > left:
        raise quota_exceeded(left, quota)
    if length > shutil.disk_usage(gettempdir()).free:
        raise service_unavailable(NO_SPACE)


def quota_exceeded(left: int, quota: int) -> Problem:
    """Return the problem of a file that does not fit into the user's storage."""
    message = f"Your files can have {quota} bytes in total, and {left} bytes are left. Delete files to make room."
    return Problem(STORAGE_QUOTA_REACHED, message, errors={"file": [f"Must have at most {left} bytes."]})


def _read_form(req: Request, max_bytes: int) -> Form:
    req.form_data_parser_class = StrictFormDataParser
    req.max_content_length = max_bytes + FORM_BYTES
    req.max_form_memory_size, req.max_form_parts = FIELD_BYTES, PARTS
    try:
        form: Form = CombinedMultiDict([req.form, req.files])
    except RequestEntityTooLarge:
        if req.content_length is not None and req.content_length <= req.max_content_length:
            message = f"The form is too large: at most {PARTS} parts, and {FIELD_BYTES} bytes in a text field."
            raise Problem(FILE_TOO_LARGE, message) from None
        raise _too_large(max_bytes) from None
    except (ValueError, *MALFORMED_BODY):
        raise Problem(MALFORMED_REQUEST, "The form is malformed or incomplete.") from None
    except OSError as error:
        raise service_unavailable(NO_SPACE) from error
    if any(_size(file) > max_bytes for file in req.files.values()):
        raise _too_large(max_bytes)
    return form


def _size(file: FileStorage) -> int:
    size = file.stream.seek(0, 2)
    file.stream.seek(0)
    return size


def _too_large(max_bytes: int) -> Problem:
    return Problem(FILE_TOO_LARGE, f"The file is too large: the limit is {max_bytes} bytes.")
