"""Responses with a file's content: whole, a range, or 304 (RFC 9110)."""

from __future__ import annotations

import re
from typing import BinaryIO
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wsgi import FileWrapper

from app.data_files.models import DataFile
from app.platform.web.problem_types import PRECONDITION_FAILED
from app.platform.web.problems import Problem

BUFFER_BYTES = 64 * 1024
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def file_response(file: DataFile, content: BinaryIO) -> Response:
    """Return the response to the current request and close `content` after it; a range outside the file raises 416.

    Flask's `send_file` does not fit: for a stream it supports no ranges, and it wraps the stream in Gunicorn's
    `wsgi.file_wrapper`, which cannot seek, so that a range would read everything before it from the storage.
    """
    response = Response(FileWrapper(content, BUFFER_BYTES), mimetype=file.media_type, direct_passthrough=True)
    response.content_length = file.size
    response.headers["Content-Disposition"] = content_disposition(file.name)
    response.set_etag(file.sha256)
    environ = request.environ.copy()
    environ.pop("HTTP_IF_MATCH", None)  # `reject_other_file` has checked it
    byte_range = _single_range(environ.pop("HTTP_RANGE", ""), file.size)
    if byte_range and not environ.get("HTTP_IF_RANGE", "").startswith("W/"):  # a range needs a strong comparison
        environ["HTTP_RANGE"] = byte_range
    try:
        response.make_conditional(environ, accept_ranges=True, complete_length=file.size)
    except RequestedRangeNotSatisfiable:
        content.close()
        raise
    return response


def reject_other_file(file: DataFile) -> None:
    """Raise a 412 problem if the current request has an `If-Match` that does not name the content of the file."""
    if "If-Match" in request.headers and not request.if_match.contains(file.sha256):
        raise Problem(PRECONDITION_FAILED, "The file is not the one that If-Match names.")


def content_disposition(name: str) -> str:
    """Return the header for a download under this name, in the two forms of RFC 6266: ASCII and UTF-8.

    werkzeug escapes quotes and keeps percent signs in `filename=`, which browsers read differently; here both are `_`.
    """
    ascii_name = "".join(character if _is_plain(character) else "_" for character in name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"


def _is_plain(character: str) -> bool:
    return character.isascii() and character.isprintable() and character not in '"\\%'


def _single_range(header: str, size: int) -> str:
    """Return a range as `bytes=first-` or `bytes=first-last`; empty if the server must or may ignore the header.

    RFC 9110 section 14.2: malformed ranges and other units must be ignored, several ranges may be; werkzeug raises 416.
    """
    match = RANGE.fullmatch(header)
    first, last = match.groups() if match else ("", "")
    if last and not first:  # the last bytes, or the whole file if it is shorter
        return f"bytes={max(0, size - int(last)) if int(last) else size}-"
    if not first or (last and int(last) < int(first)):
        return ""
    return header
