"""What a test says of good, bad and hostile files."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
from typing import Any

import pytest

from app.data_files.content import CSV, JSON
from app.data_files.report import Report, examine

pytestmark = pytest.mark.req("A4")


def report(content: str | bytes, media_type: str = CSV) -> Report:
    raw = content.encode() if isinstance(content, str) else content
    return examine(io.BytesIO(raw), media_type, lambda: None)


def types(found: Report) -> dict[str, tuple[str, int]]:
    return {column["name"]: (column["type"], column["missing"]) for column in found.as_json()["columns"]}


PEOPLE = """id,name,weight,born,member,seen,note,nothing
1,Ann,61.5,1990-05-01,true,2026-01-02T03:04:05Z,5,
2,Bob,-7,1985-02-28,FALSE,2026-01-02 03:04:05.5+02:00,many, \n\
3,"Cy, the ""third""\nof his name",1e3,,true,,,
"""


def test_a_csv_file_is_counted_and_its_columns_are_told() -> None:
    found = report(PEOPLE)

    assert (found.passed, found.rows, found.problems) == (True, 3, [])
    assert types(found) == {
        "id": ("integer", 0),
        "name": ("text", 0),
        "weight": ("number", 0),
        "born": ("time", 1),
        "member": ("boolean", 0),
        "seen": ("time", 1),
        "note": ("mixed", 1),
        "nothing": ("empty", 3),
    }


OBJECTS: list[dict[str, Any]] = [
    {"id": 1, "name": "Ann", "weight": 61.5, "born": "1990-05-01", "tags": ["a", {"b": []}], "member": True},
    {"id": 2, "name": "", "weight": 7, "born": None, "tags": {}, "member": False},
    {"id": "three", "late": "2026-02-30"},
]


@pytest.mark.parametrize(
    "content",
    [json.dumps(OBJECTS), "\ufeff" + json.dumps(OBJECTS, indent=2), "\n".join(map(json.dumps, OBJECTS))],
    ids=["list", "indented", "lines"],
)
def test_a_json_file_is_counted_and_its_members_are_told(content: str) -> None:
    found = report(content, JSON)

    assert (found.passed, found.rows, found.problems) == (True, 3, [])
    assert types(found) == {
        "id": ("mixed", 0),
        "name": ("text", 2),
        "weight": ("number", 1),
        "born": ("time", 2),
        "tags": ("nested", 1),
        "member": ("boolean", 1),
        "late": ("text", 2),  # there is no such day
    }


def test_one_object_is_one_row() -> None:
    found = report('{"a": 1}', JSON)

    assert (found.passed, found.rows, types(found)) == (True, 1, {"a": ("integer", 0)})


@pytest.mark.parametrize(
    "content", ["a;b\n1;2\n", "a\tb\n1\t2\n", "a|b\r1|2\r", "\ufeffa,b\n1,2", "\n\na,b\n1,2", '"a","b"\n"1","2"\n\n\n']
)
def test_dialects_of_csv_are_read(content: str) -> None:
    found = report(content)

    assert (found.passed, found.rows) == (True, 1)
    assert types(found) == {"a": ("integer", 0), "b": ("integer", 0)}


BAD: list[tuple[str, str, int | None, str]] = [
    (CSV, "a,b\n", None, "The file has no rows."),
    (CSV, "\n\n", None, "The file has no rows."),
    (CSV, "\ufeff", None, "The file has no rows."),
    (CSV, "a,,c\n1,2,3\n", None, "Column 2 has no name."),
    (CSV, "a,b,a\n1,2,3\n", None, "Columns 1 and 3 have the same name."),
    (CSV, "a,b\n1,2\n1\n", 2, "The row has 1 fields, and the file has 2 columns."),
    (CSV, "a,b\n1,2,3\n", 1, "The row has 3 fields, and the file has 2 columns."),
    (CSV, 'a,b\n1,"2\n3,4\n', 1, "The CSV is broken: unexpected end of data."),
    (CSV, 'a,b\n1,"2"3\n', 1, "The CSV is broken: ',' expected after '\"'."),
    (CSV, "x" * 201 + "\n1\n", None, "The name of column 1 is longer than 200 characters."),
    (CSV, ",".join(map(str, range(501))), None, "There are 501 columns, and at most 500 may be."),
    (CSV, "a,b\n1," + "x" * 131_073 + "\n", 1, "The CSV is broken: field larger than field limit (131072)."),
    (CSV, "a\n" + "x" * 1_100_000, 1, "The row is longer than 1048576 characters; is a quotation mark missing?"),
    (CSV, "a\n" + '"\n",' * 300_000, 1, "The row is longer than 1048576 characters; is a quotation mark missing?"),
    (JSON, "[]", None, "The file has no rows."),
    (JSON, "[1]", 1, "The row is no object."),
    (JSON, '[{"a": 1}, [{"b": 2}], {"a": 2}]', 2, "The row is no object."),
    (JSON, '[{"a": 1}, {"a": 1, "a": 2}]', 2, "The row has two members of one name."),
    (JSON, '[{"": 1}]', 1, "The row has a member without a name."),
    (JSON, '[{"a": 1},', 2, "The JSON is broken: parse error: premature EOF."),
    (JSON, '[{"a": 1}] x', 2, "The JSON is broken: lexical error: invalid char in json text."),
    (JSON, '{"a": 1},{"a": 2}', 2, "The JSON is broken: parse error: unallowed token at this point in JSON text."),
    (JSON, '[{"a": NaN}]', 1, "The JSON is broken: lexical error: invalid char in json text."),
    (JSON, '[{"a": 1e99999}]', 1, "The JSON is broken: parse error: numeric (floating point) overflow."),
    (JSON, '[{"a": ' + "9" * 5000 + "}]", 1, "The JSON is broken: parse error: integer overflow."),
    (JSON, "[" * 100_000, 1, "The row holds more than 32 objects and lists within each other."),
    (JSON, '{"a":' * 100_000, 1, "The row holds more than 32 objects and lists within each other."),
    (JSON, '[{"' + "x" * 201 + '": 1}]', 1, "The row has a member whose name is longer than 200 characters."),
    (JSON, '[{"a": "' + "x" * 131_073 + '"}]', 1, "The row has a text that is longer than 131072 characters."),
    (JSON, json.dumps([dict.fromkeys(map(str, range(501)))]), 1, "The row has more than 500 members."),
    (JSON, json.dumps([{str(n): n} for n in range(501)]), 502, "The rows have more than 500 different members."),
]


@pytest.mark.parametrize(("media_type", "content", "row", "message"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_said_with_its_row(media_type: str, content: str, row: int | None, message: str) -> None:
    found = report(content, media_type)

    assert not found.passed
    assert found.problems == [{"row": row, "message": message}]


def test_twenty_problems_are_told_and_all_are_counted() -> None:
    found = report("a,b\n" + "1\n1,2\n" * 30)

    assert [problem["row"] for problem in found.problems] == list(range(1, 41, 2))
    assert (found.problem_count, found.rows) == (30, 60)


NUMBERS = [("9" * 5000, "integer"), ("+7", "integer"), ("1" * 4000 + ".5", "number"), ("1e999999999", "number")]
NO_NUMBERS = ["NaN", "inf", "Infinity", "0x10", "1_000", "1,5", "٣", "½", "--1", "1e", ".", "1 2"]


@pytest.mark.parametrize(("text", "kind"), NUMBERS + [(text, "text") for text in NO_NUMBERS], ids=lambda text: text[:9])
def test_numbers_are_told_by_how_they_are_written(text: str, kind: str) -> None:
    assert types(report(f'a\n"{text}"\n')) == {"a": (kind, 0)}


def test_names_of_columns_are_shown_without_what_would_do_harm() -> None:
    found = report(json.dumps([{"a\x00b\u202ec\x1b": 1}]), JSON)

    assert list(types(found)) == ["a\ufffdb\ufffdc\ufffd"]


@pytest.mark.parametrize("media_type", [CSV, JSON])
def test_a_long_file_takes_little_memory(media_type: str) -> None:
    row = "1,Ann,2.5\n" if media_type == CSV else '{"a": 1, "b": "Ann", "c": 2.5}\n'
    content = io.BytesIO((("a,b,c\n" if media_type == CSV else "") + row * 200_000).encode())

    tracemalloc.start()
    found = examine(content, media_type, lambda: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (found.rows, found.passed) == (200_000, True)
    assert peak < 2_000_000


@pytest.mark.parametrize("seed", range(300))
def test_rubbish_is_reported_and_never_raises(seed: int) -> None:
    choose = random.Random(seed)
    pieces = [
        "{",
        "}",
        "[",
        "]",
        '"',
        ",",
        ":",
        "\n",
        "\r",
        "a",
        "1",
        "-",
        "e9",
        "null",
        "tru",
        "\\u00",
        "\\ud800",
        " ",
        ";",
        "é",
    ]
    content = "".join(choose.choices(pieces, k=choose.randrange(1, 200)))

    for media_type in (CSV, JSON):
        json.dumps(report(content, media_type).as_json())


def test_signs_are_given_all_the_while_and_may_end_it() -> None:
    class Enough(Exception):
        """What a sign raises."""

    signs = 0

    def sign() -> None:
        nonlocal signs
        signs += 1
        if signs == 20:
            raise Enough

    for media_type, row in ((CSV, "1\n"), (JSON, '{"a": 1}\n')):
        signs = 0
        with pytest.raises(Enough):
            examine(io.BytesIO(row.encode() * 1_000_000), media_type, sign)
