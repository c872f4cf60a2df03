"""The name and the content of an uploaded file; the content decides the media type, not the sender."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

from app.platform.visible_text import EMOJI_STYLE, JOINERS, has_invisible

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/x-ndjson"
# The media type of each file name extension; empty: the content alone decides.
EXTENSIONS = {"": "", ".txt": "", ".csv": CSV, ".json": JSON, ".jsonl": JSON_LINES, ".ndjson": JSON_LINES}
ACCEPTED = "Send CSV (.csv) or JSON (.json, .jsonl) as UTF-8 text."

MAX_NAME_LENGTH = 255  # characters
CHUNK_BYTES = 64 * 1024
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # all except tab, line feed and carriage return


class InvalidFileName(ValueError):
    """The file name is not accepted; the message gives the reason."""


class UnsupportedContent(Exception):
    """The file is neither CSV nor JSON; the message gives the reason and lists the accepted types."""


def clean_name(path: str) -> str:
    """Return the last part of a POSIX or Windows path, NFC-normalised; raises `InvalidFileName`."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", path)[-1].strip())
    if name.strip(".") == "":
        raise InvalidFileName("Must have a name.")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidFileName(f"Must have a name of at most {MAX_NAME_LENGTH} characters.")
    if has_invisible(name, allowed=JOINERS + EMOJI_STYLE):
        raise InvalidFileName("Must have a name without control and invisible characters.")
    return name


def detect_media_type(stream: IO[bytes], name: str) -> str:
    """Return the media type of a file and read the stream to its end; raises `UnsupportedContent`."""
    extension = PurePosixPath(name).suffix.lower()
    if extension not in EXTENSIONS:
        raise UnsupportedContent(f"Files that end in {extension} are not accepted. {ACCEPTED}")
    looks_like_json = _first_character(stream) in ("{", "[")
    media_type = EXTENSIONS[extension] or (JSON if looks_like_json else CSV)
    if looks_like_json != (media_type != CSV):
        raise UnsupportedContent(f"The name ends in {extension}, but the content is of another type. {ACCEPTED}")
    return media_type


def _first_character(stream: IO[bytes]) -> str:
    """Return the first character that is not a space, after checking all characters."""
    first = ""
    for text in _decode(stream):
        if CONTROL_CHARACTERS.search(text):
            raise UnsupportedContent(f"The file is not text: it contains control characters. {ACCEPTED}")
        first = first or text.lstrip()[:1]
    return first


def _decode(stream: IO[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while chunk := stream.read(CHUNK_BYTES):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise UnsupportedContent(f"The file is not UTF-8 text. {ACCEPTED}") from None
