"""Reads the rows of CSV and JSON files, whatever is in them, in little memory.

What a file holds was chosen by somebody else, who may mean harm: a row's length, its columns, and the depth of what is
in it have bounds, and no number is made out of digits.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import IO, Any

import ijson

from app.data_files.content import CSV

LONGEST_ROW = 1024 * 1024  # characters
LONGEST_FIELD = 131_072  # characters; what Python's reader of CSV allows
LONGEST_NAME = 200  # characters, of a column
MOST_COLUMNS = 500
DEEPEST = 32  # objects and lists within each other
DELIMITERS = ",;\t|"
BOM = b"\xef\xbb\xbf"

INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Sign = Callable[[], None]
Events = Iterator[tuple[str, Any]]


class Broken(Exception):
    """The file cannot be read any further; the text says why."""


class BrokenHead(Broken):
    """The names of the columns are no good, so that no row has a meaning."""


@dataclass(frozen=True)
class Row:
    """The kinds of a row's values by column, None where one is missing; and what is wrong with the row, if anything."""

    kinds: Mapping[str, str | None]
    fault: str = ""


def rows(stream: IO[bytes], media_type: str, sign: Sign) -> Iterator[Row]:
    """The rows of a file; raises `Broken`. `sign` is called all the while, and may raise to end it."""
    return _csv_rows(_Lines(stream, sign)) if media_type == CSV else _json_rows(stream, sign)


class _Lines:
    """The lines of a text, as long as those of one row are not too long together."""

    def __init__(self, stream: IO[bytes], sign: Sign) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        self._sign = sign
        self.left = LONGEST_ROW

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(self.left + 1):
            self._sign()
            self.left -= len(line)
            if self.left < 0:
                raise Broken(f"The row is longer than {LONGEST_ROW} characters; is a quotation mark missing?")
            yield line

    def begin_row(self) -> None:
        """Count anew."""
        self.left = LONGEST_ROW


def _csv_rows(lines: _Lines) -> Iterator[Row]:
    try:
        first = next((line for line in lines if line.strip()), "")
        delimiter = max(DELIMITERS, key=first.count)
        reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        names = _head(next(reader, []))
        lines.begin_row()
        for fields in reader:
            lines.begin_row()
            if fields:  # an empty line is no row
                yield _csv_row(names, fields)
    except csv.Error as error:
        raise Broken(f"The CSV is broken: {error}.") from None
    except UnicodeDecodeError:
        raise Broken("The file is not UTF-8 text.") from None


def _head(names: list[str]) -> list[str]:
    names = [name.strip() for name in names]
    if len(names) > MOST_COLUMNS:
        raise BrokenHead(f"There are {len(names)} columns, and at most {MOST_COLUMNS} may be.")
    for place, name in enumerate(names):
        if not name:
            raise BrokenHead(f"Column {place + 1} has no name.")
        if len(name) > LONGEST_NAME:
            raise BrokenHead(f"The name of column {place + 1} is longer than {LONGEST_NAME} characters.")
        if name in names[:place]:
            raise BrokenHead(f"Columns {names.index(name) + 1} and {place + 1} have the same name.")
    return names


def _csv_row(names: list[str], fields: list[str]) -> Row:
    kinds = {name: kind_of(text) for name, text in zip(names, fields, strict=False)}
    fits = len(fields) == len(names)
    return Row(kinds, "" if fits else f"The row has {len(fields)} fields, and the file has {len(names)} columns.")


def kind_of(text: str) -> str | None:
    """What a text can be read as: an integer, a number, a boolean, a time (ISO 8601) or text; None when it is empty."""
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


@dataclass(frozen=True)
class _Watched:
    """A stream that gives a sign whenever it is read."""

    stream: IO[bytes]
    sign: Sign

    def read(self, size: int = -1) -> bytes:
        """Read, at most `size` bytes."""
        self.sign()
        return self.stream.read(size)


def _json_rows(stream: IO[bytes], sign: Sign) -> Iterator[Row]:
    """The objects of one list, or objects one after the other, as in JSON lines."""
    if stream.read(len(BOM)) != BOM:
        stream.seek(0)
    # As floats: of an integer with thousands of digits, the library would else make an object that ends the process.
    events: Events = ijson.basic_parse(_Watched(stream, sign), multiple_values=True, use_float=True)
    try:
        for event, value in events:
            if event == "start_array":
                yield from _items(events)
            else:
                yield _json_row(event, value, events)
    except ijson.JSONError as error:
        raise Broken(f"The JSON is broken: {str(error).splitlines()[0].rstrip('.')}.") from None


def _items(events: Events) -> Iterator[Row]:
    for event, value in events:
        if event == "end_array":
            return
        yield _json_row(event, value, events)


def _json_row(event: str, value: object, events: Events) -> Row:
    if event != "start_map":
        _json_kind(event, value, events)
        return Row({}, "The row is no object.")
    kinds: dict[str, str | None] = {}
    fault = ""
    for found, name in events:
        if found == "end_map":
            break
        fault = "The row has two members of one name." if name in kinds else fault
        kinds[_json_name(name)] = _json_kind(*next(events), events)
        if len(kinds) > MOST_COLUMNS:
            raise Broken(f"The row has more than {MOST_COLUMNS} members.")
    return Row(kinds, fault)


def _json_name(name: str) -> str:
    if not name.strip():
        raise Broken("The row has a member without a name.")
    if len(name) > LONGEST_NAME:
        raise Broken(f"The row has a member whose name is longer than {LONGEST_NAME} characters.")
    return name


def _json_kind(event: str, value: object, events: Events) -> str | None:
    if event in ("start_map", "start_array"):
        _skip(events)
        return "nested"
    if event == "number":
        return "integer" if isinstance(value, int) else "number"
    if event == "string":
        return _string_kind(str(value))
    return "boolean" if event == "boolean" else None


def _string_kind(text: str) -> str | None:
    if len(text) > LONGEST_FIELD:
        raise Broken(f"The row has a text that is longer than {LONGEST_FIELD} characters.")
    if not text.strip():
        return None
    return "time" if _is_time(text) else "text"


def _skip(events: Events) -> None:
    """Pass over an object or a list that has just begun."""
    depth = 1
    for event, _ in events:
        depth += event.startswith("start_") - event.startswith("end_")
        if depth > DEEPEST:
            raise Broken(f"The row holds more than {DEEPEST} objects and lists within each other.")
        if depth == 0:
            return
