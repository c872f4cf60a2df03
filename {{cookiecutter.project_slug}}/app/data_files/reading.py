"""Reads the rows of CSV and JSON files in little memory.

The content is untrusted and may be hostile: the length of a row, its number of columns and the nesting depth have
bounds, and at most `MAX_DIGITS` digits are converted to a number.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import InvalidOperation
from itertools import chain
from typing import IO, Any

import ijson

from app.data_files.content import CSV

MAX_ROW_LENGTH = 1024 * 1024  # characters
MAX_FIELD_LENGTH = 131_072  # characters; the default limit of Python's csv module
MAX_NAME_LENGTH = 200  # characters of a column name
MAX_COLUMNS = 500
MAX_DEPTH = 32  # nested objects and lists
DELIMITERS = ",;\t|"
DIGITS = b"0123456789"
MAX_DIGITS = 4000  # of an integer; Python converts 4300
LONG_NUMBER = re.compile(rb"([0-9]{4000})[0-9]+")  # more than MAX_DIGITS
BOM = b"\xef\xbb\xbf"

INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
JSON_REASON = re.compile(r"(lexical|parse) error: [^.\\\n]+")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Heartbeat = Callable[[], None]
Events = Iterator[tuple[str, Any]]


class MalformedFile(Exception):
    """The rest of the file cannot be read; the message gives the reason."""


class MalformedHeader(MalformedFile):
    """The column names are invalid, so no row can be read."""


@dataclass(frozen=True)
class Row:
    """The type of each value of a row by column, None for a missing value; `problem` is empty for a valid row."""

    types: Mapping[str, str | None]
    problem: str = ""


def rows(stream: IO[bytes], media_type: str, heartbeat: Heartbeat) -> Iterator[Row]:
    """Yield the rows of a file; raises `MalformedFile`.

    Calls `heartbeat` at every read; an error that `heartbeat` raises ends the reading.
    """
    return _csv_rows(_Lines(stream, heartbeat)) if media_type == CSV else _json_rows(stream, heartbeat)


class _Lines:
    """The lines of a text; raises `MalformedFile` if the lines of one row exceed `MAX_ROW_LENGTH`."""

    def __init__(self, stream: IO[bytes], heartbeat: Heartbeat) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        self._heartbeat = heartbeat
        self._remaining = MAX_ROW_LENGTH

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(self._remaining + 1):
            self._heartbeat()
            self._remaining -= len(line)
            if self._remaining < 0:
                raise MalformedFile(f"The row is longer than {MAX_ROW_LENGTH} characters; is a quotation mark missing?")
            yield line

    def begin_row(self) -> None:
        """Start counting the characters of a new row."""
        self._remaining = MAX_ROW_LENGTH


def _csv_rows(lines: _Lines) -> Iterator[Row]:
    try:
        first = next((line for line in lines if line.strip()), "")
        unquoted = "".join(first.split('"')[::2])  # a quoted name may contain delimiters
        delimiter = max(DELIMITERS, key=unquoted.count)
        reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        names = _column_names(next(reader, []))
        lines.begin_row()
        for fields in reader:
            lines.begin_row()
            if fields:  # an empty line is not a row
                yield _csv_row(names, fields)
    except csv.Error as error:
        raise MalformedFile(f"Malformed CSV: {error}.") from None
    except UnicodeDecodeError:
        raise MalformedFile("The file is not UTF-8 text.") from None


def _column_names(fields: list[str]) -> list[str]:
    names = [field.strip() for field in fields]
    if len(names) > MAX_COLUMNS:
        raise MalformedHeader(f"The file has {len(names)} columns; the limit is {MAX_COLUMNS}.")
    for index, name in enumerate(names):
        if not name:
            raise MalformedHeader(f"Column {index + 1} has no name.")
        if len(name) > MAX_NAME_LENGTH:
            raise MalformedHeader(f"The name of column {index + 1} is longer than {MAX_NAME_LENGTH} characters.")
        if name in names[:index]:
            raise MalformedHeader(f"Columns {names.index(name) + 1} and {index + 1} have the same name.")
    return names


def _csv_row(names: list[str], fields: list[str]) -> Row:
    types = {name: text_type(text) for name, text in zip(names, fields, strict=False)}
    complete = len(fields) == len(names)
    return Row(types, "" if complete else f"The row has {len(fields)} fields, and the file has {len(names)} columns.")


def text_type(text: str) -> str | None:
    """Return integer, number, boolean, time (ISO 8601) or text; None for an empty text."""
    text = text.strip()
    if not text:
        return None
    if INTEGER.fullmatch(text):
        return "integer"
    if NUMBER.fullmatch(text):
        return "number"
    if text.lower() in ("true", "false"):
        return "boolean"
    return "time" if _is_time(text) else "text"


def _is_time(text: str) -> bool:
    if not DATE.match(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


@dataclass
class JsonStream:
    """The text of a JSON file for ijson, without the digits of a number or a text beyond `MAX_DIGITS`.

    Python rejects longer integers, and ijson then ends the process. Calls `heartbeat` at every read.
    """

    stream: IO[bytes]
    heartbeat: Heartbeat
    _digits: int = 0  # at the end of what was read so far

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        while chunk := self._read_chunk(size):
            if shortened := self._shorten(chunk):
                return shortened
        return b""

    def _read_chunk(self, size: int) -> bytes:
        self.heartbeat()
        return self.stream.read(size)

    def _shorten(self, chunk: bytes) -> bytes:
        leading = len(chunk) - len(chunk.lstrip(DIGITS))
        kept = min(leading, MAX_DIGITS - self._digits)
        rest = LONG_NUMBER.sub(rb"\1", chunk[leading:])
        trailing = len(rest) - len(rest.rstrip(DIGITS))
        self._digits = trailing if rest else self._digits + kept
        return chunk[:kept] + rest


def _json_rows(stream: IO[bytes], heartbeat: Heartbeat) -> Iterator[Row]:
    """Yield the objects of a list, or concatenated objects as in JSON lines."""
    if stream.read(len(BOM)) != BOM:
        stream.seek(0)
    events: Events = ijson.basic_parse(JsonStream(stream, heartbeat), multiple_values=True)
    try:
        for event, value in events:
            if event == "start_array":
                yield from _items(events)
            else:
                yield _json_row(event, value, events)
    except ijson.JSONError as error:
        raise MalformedFile(f"Malformed JSON: {_reason(error)}.") from None
    except (
        ValueError,
        InvalidOperation,
    ):  # ijson passes lone surrogates, as in "\\udfff", and large exponents to Python
        raise MalformedFile("Malformed JSON: a text or a number that cannot be decoded.") from None


def _reason(error: ijson.JSONError) -> str:
    """Return the reason in ijson's message, without the part of the file that it quotes."""
    match = JSON_REASON.search(str(error))
    return match[0].strip() if match else "not readable"


def _items(events: Events) -> Iterator[Row]:
    for event, value in events:
        if event == "end_array":
            return
        yield _json_row(event, value, events)


def _json_row(event: str, value: object, events: Events) -> Row:
    if event != "start_map":
        _json_type(event, value, events)
        return Row({}, "The row is not an object.")
    types: dict[str, str | None] = {}
    problem = ""
    for member_event, name in events:
        if member_event == "end_map":
            break
        problem = "The row has two members with the same name." if name in types else problem
        types[_member_name(name)] = _json_type(*next(events), events)
        if len(types) > MAX_COLUMNS:
            raise MalformedFile(f"The row has more than {MAX_COLUMNS} members.")
    return Row(types, problem)


def _member_name(name: str) -> str:
    if not name.strip():
        raise MalformedFile("The row has a member without a name.")
    if len(name) > MAX_NAME_LENGTH:
        raise MalformedFile(f"The row has a member whose name is longer than {MAX_NAME_LENGTH} characters.")
    return name


def _json_type(event: str, value: object, events: Events) -> str | None:
    if event in ("start_map", "start_array"):
        _skip_nested(events)
        return "nested"
    if event == "number":
        return "integer" if isinstance(value, int) else "number"
    if event == "string":
        return _string_type(str(value))
    return "boolean" if event == "boolean" else None


def _string_type(text: str) -> str | None:
    if len(text) > MAX_FIELD_LENGTH:
        raise MalformedFile(f"The row has a text that is longer than {MAX_FIELD_LENGTH} characters.")
    if not text.strip():
        return None
    return "time" if _is_time(text) else "text"


def _skip_nested(events: Events) -> None:
    """Skip the rest of an object or list whose start event was read."""
    depth = 1
    for event, _ in events:
        depth += event.startswith("start_") - event.startswith("end_")
        if depth > MAX_DEPTH:
            raise MalformedFile(f"The row has more than {MAX_DEPTH} nested objects and lists.")
        if depth == 0:
            return
