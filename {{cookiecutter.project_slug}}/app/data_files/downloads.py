"""How a file's content is sent: whole, in part, or not at all to who has it already (RFC 9110)."""

from __future__ import annotations

import re
from typing import BinaryIO
from urllib.parse import quote

from flask import Response, request
from werkzeug.wsgi import FileWrapper

from app.data_files.models import DataFile

BUFFER_BYTES = 64 * 1024
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def send(file: DataFile, content: BinaryIO) -> Response:
    """The answer to the request in hand; a range that the file does not have raises an error of status 416."""
    response = Response(FileWrapper(content, BUFFER_BYTES), mimetype=file.media_type, direct_passthrough=True)
    response.call_on_close(content.close)
    response.content_length = file.size
    response.headers["Content-Disposition"] = disposition(file.name)
    response.set_etag(file.sha256)
    wish = {"HTTP_RANGE": wished} if (wished := _range(request.headers.get("Range", ""), file.size)) else {}
    conditions = {name: value for name, value in request.environ.items() if name != "HTTP_RANGE"} | wish
    response.make_conditional(conditions, accept_ranges=True, complete_length=file.size)
    return response


def disposition(name: str) -> str:
    """To be kept as a file and never shown, under its name, which RFC 6266 has in two ways: for old readers and new."""
    plain = "".join(character if _is_plain(character) else "_" for character in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _is_plain(character: str) -> bool:
    return character.isascii() and character.isprintable() and character not in '"\\%'


def _range(wished: str, size: int) -> str:
    """A wish for a range as `bytes=first-` or `bytes=first-last`; empty when it is to be ignored (section 14.2).

    So is a wish for several ranges, which would need a form of their own.
    """
    found = RANGE.fullmatch(wished)
    first, last = found.groups() if found else ("", "")
    if last and not first:  # the last so many bytes, or all when there are fewer
        return f"bytes={max(0, size - int(last)) if int(last) else size}-"
    if not first or (last and int(last) < int(first)):
        return ""
    return wished
