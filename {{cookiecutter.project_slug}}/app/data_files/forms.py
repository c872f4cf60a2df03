"""How a form with a file is read: in little memory, and never more than the settings allow."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from flask import Request, Response, after_this_request, current_app
from marshmallow import RAISE, Schema
from werkzeug.datastructures import CombinedMultiDict, FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from app import bodies
from app.database import db
from app.errors import Problem, unavailable
from app.settings import settings_of

FORM_BYTES = 16 * 1024  # for all of the form that is not the file
FIELD_BYTES = 256 * 1024  # of a field that is no file; werkzeug also reads files in pieces, which must be smaller
MEMORY_BYTES = 512 * 1024  # of a file; what is more goes to the folder for temporary files
PARTS = 10
ONCE = "Must be there once."

Form = CombinedMultiDict[str, Any]


class FormParser(bodies.Parser):
    """Reads forms as strictly as JSON: fields that no schema names are refused, and so are two of one name."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**bodies.Parser.DEFAULT_UNKNOWN_BY_LOCATION, "files": RAISE}  # noqa: RUF012

    def load_files(self, req: Request, schema: Schema) -> Any:
        """The fields and files of a form, by name."""
        if req.mimetype != "multipart/form-data":
            raise Problem(415, "Send a form with a file, as multipart/form-data.")
        db.session().rollback()  # the form may take its time, and needs no connection to the database
        form = _read(req, settings_of(current_app).UPLOAD_MAX_BYTES)
        if twice := [name for name in form if len(form.getlist(name)) > 1]:
            raise Problem(422, "The form names a field twice.", errors={name: [ONCE] for name in twice})
        return self._makeproxy(form, schema)


class Blueprint(bodies.Blueprint):
    """A blueprint whose routes may take forms."""

    ARGUMENTS_PARSER = FormParser()


def _read(req: Request, largest: int) -> Form:
    parser = FormDataParser(
        stream_factory=_open_files(),
        max_form_memory_size=FIELD_BYTES,
        max_content_length=largest + FORM_BYTES,
        max_form_parts=PARTS,
        silent=False,
    )
    try:
        _, fields, files = parser.parse_from_environ(req.environ)
    except RequestEntityTooLarge:
        raise _too_large(largest) from None
    except ValueError:
        raise Problem(400, "The form cannot be read: it is broken, or was cut off.") from None
    except OSError as error:
        raise unavailable("There is no room for the file right now. Try again shortly.") from error
    if any(_size(file) > largest for file in files.values()):
        raise _too_large(largest)
    return CombinedMultiDict([fields, files])


def _open_files() -> Callable[..., IO[bytes]]:
    """Opens a file for each part of the form that is one; all are closed when the request has been answered."""
    opened: list[IO[bytes]] = []

    def open_file(*_: object, **__: object) -> IO[bytes]:
        opened.append(SpooledTemporaryFile(MEMORY_BYTES, "rb+"))  # noqa: SIM115 - closed below
        return opened[-1]

    def close(response: Response) -> Response:
        for file in opened:
            file.close()
        return response

    after_this_request(close)
    return open_file


def _size(file: FileStorage) -> int:
    size = file.stream.seek(0, 2)
    file.stream.seek(0)
    return size


def _too_large(largest: int) -> Problem:
    return Problem(413, f"The file is too large: at most {largest} bytes are taken in.")
