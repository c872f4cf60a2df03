"""What is taken in as a file: its name, and its content, which tells its type whatever the sender says."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/x-ndjson"
ENDINGS = {"": "", ".txt": "", ".csv": CSV, ".json": JSON, ".jsonl": JSON_LINES, ".ndjson": JSON_LINES}
WANTED = "Send CSV (.csv) or JSON (.json, .jsonl) as UTF-8 text."

LONGEST_NAME = 255  # characters
CHUNK_BYTES = 64 * 1024
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # all but tab and the ends of lines
# Categories of Unicode that are not seen, or turn around what is: control, format, surrogate, ends of lines.
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # of that kind too, but part of how Persian and emoji are written


class BadName(ValueError):
    """The file's name is none; the text says why."""


class UnknownContent(Exception):
    """The file is of no type that is taken in; the text says why, and what would be taken in."""


def clean_name(given: str) -> str:
    """The last part of a name that may be a path, on whatever system; raises `BadName`."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", given)[-1].strip())
    if name.strip(".") == "":
        raise BadName("Must have a name.")
    if len(name) > LONGEST_NAME:
        raise BadName(f"Must have a name of at most {LONGEST_NAME} characters.")
    if any(unicodedata.category(character) in UNSEEN and character not in JOINERS for character in name):
        raise BadName("Must have a name without control and invisible characters.")
    return name


def recognise(stream: IO[bytes], name: str) -> str:
    """The media type of a file, which is read to its end; raises `UnknownContent`."""
    ending = PurePosixPath(name).suffix.lower()
    if ending not in ENDINGS:
        raise UnknownContent(f"Files that end in {ending} are not taken in. {WANTED}")
    begins_like_json = _first_character(stream) in ("{", "[")
    told = ENDINGS[ending] or (JSON if begins_like_json else CSV)
    if begins_like_json != (told != CSV):
        raise UnknownContent(f"The name ends in {ending}, and the content is something else. {WANTED}")
    return told


def _first_character(stream: IO[bytes]) -> str:
    """The first character that is not a space, after all of them have been looked at."""
    first = ""
    for text in _texts(stream):
        if CONTROLS.search(text):
            raise UnknownContent(f"The file is not text: it holds control characters. {WANTED}")
        first = first or text.lstrip()[:1]
    return first


def _texts(stream: IO[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while chunk := stream.read(CHUNK_BYTES):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise UnknownContent(f"The file is not UTF-8 text. {WANTED}") from None
