"""Reports on valid, invalid and hostile files."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
from typing import Any

import pytest

from app.data_files.content import CSV, JSON
from app.data_files.report import Report, validate_file

pytestmark = pytest.mark.req("A4")


def report(content: str | bytes, media_type: str = CSV) -> Report:
    raw = content.encode() if isinstance(content, str) else content
    return validate_file(io.BytesIO(raw), media_type, lambda: None)


def column_types(result: Report) -> dict[str, tuple[str, int]]:
    return {column["name"]: (column["type"], column["missing"]) for column in result.as_json()["columns"]}


PEOPLE = """id,name,weight,born,member,seen,note,nothing
1,Ann,61.5,1990-05-01,true,2026-01-02T03:04:05Z,5,
2,Bob,-7,1985-02-28,FALSE,2026-01-02 03:04:05.5+02:00,many, \n\
3,"Cy, the ""third""\nof his name",1e3,,true,,,
"""


def test_csv_report_lists_rows_and_column_types() -> None:
    result = report(PEOPLE)

    assert (result.passed, result.rows, result.problems) == (True, 3, [])
    assert column_types(result) == {
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
def test_json_report_lists_rows_and_member_types(content: str) -> None:
    result = report(content, JSON)

    assert (result.passed, result.rows, result.problems) == (True, 3, [])
    assert column_types(result) == {
        "id": ("mixed", 0),
        "name": ("text", 2),
        "weight": ("number", 1),
        "born": ("time", 2),
        "tags": ("nested", 1),
        "member": ("boolean", 1),
        "late": ("text", 2),  # not a valid date
    }


def test_single_object_is_one_row() -> None:
    result = report('{"a": 1}', JSON)

    assert (result.passed, result.rows, column_types(result)) == (True, 1, {"a": ("integer", 0)})


@pytest.mark.parametrize(
    "content", ["a;b\n1;2\n", "a\tb\n1\t2\n", "a|b\r1|2\r", "\ufeffa,b\n1,2", "\n\na,b\n1,2", '"a","b"\n"1","2"\n\n\n']
)
def test_csv_dialects_are_read(content: str) -> None:
    result = report(content)

    assert (result.passed, result.rows) == (True, 1)
    assert column_types(result) == {"a": ("integer", 0), "b": ("integer", 0)}


INVALID: list[tuple[str, str, int | None, str]] = [
    (CSV, "a,b\n", None, "The file has no rows."),
    (CSV, "\n\n", None, "The file has no rows."),
    (CSV, "\ufeff", None, "The file has no rows."),
    (CSV, "a,,c\n1,2,3\n", None, "Column 2 has no name."),
    (CSV, "a,b,a\n1,2,3\n", None, "Columns 1 and 3 have the same name."),
    (CSV, "a,b\n1,2\n1\n", 2, "The row has 1 fields, and the file has 2 columns."),
    (CSV, "a,b\n1,2,3\n", 1, "The row has 3 fields, and the file has 2 columns."),
    (CSV, 'a,b\n1,"2\n3,4\n', 1, "Malformed CSV: unexpected end of data."),
    (CSV, 'a,b\n1,"2"3\n', 1, "Malformed CSV: ',' expected after '\"'."),
    (CSV, "x" * 201 + "\n1\n", None, "The name of column 1 is longer than 200 characters."),
    (CSV, ",".join(map(str, range(501))), None, "The file has 501 columns; the limit is 500."),
    (CSV, "a,b\n1," + "x" * 131_073 + "\n", 1, "Malformed CSV: field larger than field limit (131072)."),
    (CSV, "a\n" + "x" * 1_100_000, 1, "The row is longer than 1048576 characters; is a quotation mark missing?"),
    (CSV, "a\n" + '"\n",' * 300_000, 1, "The row is longer than 1048576 characters; is a quotation mark missing?"),
    (JSON, "[]", None, "The file has no rows."),
    (JSON, "[1]", 1, "The row is not an object."),
    (JSON, '[{"a": 1}, [{"b": 2}], {"a": 2}]', 2, "The row is not an object."),
    (JSON, '[{"a": 1}, {"a": 1, "a": 2}]', 2, "The row has two members with the same name."),
    (JSON, '[{"": 1}]', 1, "The row has a member without a name."),
    (JSON, '[{"a": 1},', 2, "Malformed JSON: parse error: premature EOF."),
    (JSON, '[{"a": 1}] x', 2, "Malformed JSON: lexical error: invalid char in json text."),
    (JSON, '{"a": 1},{"a": 2}', 2, "Malformed JSON: parse error: unallowed token at this point in JSON text."),
    (JSON, '[{"a": NaN}]', 1, "Malformed JSON: lexical error: invalid char in json text."),
    (JSON, '[{"a": 1e' + "9" * 20 + "}]", 1, "Malformed JSON: a text or a number that cannot be decoded."),
    (JSON, "[" * 100_000, 1, "The row has more than 32 nested objects and lists."),
    (JSON, '{"a":' * 100_000, 1, "The row has more than 32 nested objects and lists."),
    (JSON, '[{"' + "x" * 201 + '": 1}]', 1, "The row has a member whose name is longer than 200 characters."),
    (JSON, '[{"a": "' + "x" * 131_073 + '"}]', 1, "The row has a text that is longer than 131072 characters."),
    (JSON, json.dumps([dict.fromkeys(map(str, range(501)))]), 1, "The row has more than 500 members."),
    (JSON, json.dumps([{str(n): n} for n in range(501)]), 502, "The rows have more than 500 different members."),
]


@pytest.mark.parametrize(("media_type", "content", "row", "message"), INVALID, ids=lambda value: str(value)[:40])
def test_problem_is_reported_with_its_row(media_type: str, content: str, row: int | None, message: str) -> None:
    result = report(content, media_type)

    assert not result.passed
    assert result.problems == [{"row": row, "message": message}]


def test_report_lists_twenty_problems_and_counts_all() -> None:
    result = report("a,b\n" + "1\n1,2\n" * 30)

    assert [problem["row"] for problem in result.problems] == list(range(1, 41, 2))
    assert (result.problem_count, result.rows) == (30, 60)


NUMBERS = [("9" * 5000, "integer"), ("+7", "integer"), ("1" * 4000 + ".5", "number"), ("1e999999999", "number")]
NOT_NUMBERS = ["NaN", "inf", "Infinity", "0x10", "1_000", "1,5", "٣", "½", "--1", "1e", ".", "1 2"]


@pytest.mark.parametrize(
    ("text", "type_"), NUMBERS + [(text, "text") for text in NOT_NUMBERS], ids=lambda text: text[:9]
)
def test_text_decides_whether_value_is_a_number(text: str, type_: str) -> None:
    assert column_types(report(f'a\n"{text}"\n')) == {"a": (type_, 0)}


def test_unprintable_characters_in_column_names_are_replaced() -> None:
    result = report(json.dumps([{"a\x00b\u202ec\x1b": 1}]), JSON)

    assert list(column_types(result)) == ["a\ufffdb\ufffdc\ufffd"]


@pytest.mark.parametrize("media_type", [CSV, JSON])
def test_long_file_needs_little_memory(media_type: str) -> None:
    row = "1,Ann,2.5\n" if media_type == CSV else '{"a": 1, "b": "Ann", "c": 2.5}\n'
    content = io.BytesIO((("a,b,c\n" if media_type == CSV else "") + row * 200_000).encode())

    tracemalloc.start()
    result = validate_file(content, media_type, lambda: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (result.rows, result.passed) == (200_000, True)
    assert peak < 2_000_000


@pytest.mark.parametrize("seed", range(300))
def test_random_content_never_raises(seed: int) -> None:
    generator = random.Random(seed)
    pieces = [*'{}[]",:\n\ra1- ;é', "e9", "null", "tru", "\\u00", "\\ud800"]
    content = "".join(generator.choices(pieces, k=generator.randrange(1, 200)))

    for media_type in (CSV, JSON):
        json.dumps(report(content, media_type).as_json())


def test_heartbeat_runs_while_reading_and_can_stop_it() -> None:
    class Stop(Exception):
        """Raised by the heartbeat."""

    heartbeats = 0

    def heartbeat() -> None:
        nonlocal heartbeats
        heartbeats += 1
        if heartbeats == 20:
            raise Stop

    for media_type, row in ((CSV, "1\n"), (JSON, '{"a": 1}\n')):
        heartbeats = 0
        with pytest.raises(Stop):
            validate_file(io.BytesIO(row.encode() * 1_000_000), media_type, heartbeat)


@pytest.mark.fault("F67")
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (str(2**63), "integer"),
        (str(-(2**63) - 1), "integer"),
        ("9" * 5000, "integer"),
        ("-" + "9" * 300_000, "integer"),
        ("9" * 5000 + ".5", "number"),
        ("0." + "9" * 300_000, "number"),
        ("1e99999", "number"),
    ],
    ids=lambda value: f"{value[:9]} {len(value)}",
)
def test_json_numbers_may_have_any_size(number: str, kind: str) -> None:
    result = report('[{"a": ' + number + "}]", JSON)

    assert result.passed
    assert column_types(result) == {"a": (kind, 0)}


def test_text_of_many_digits_stays_a_text() -> None:
    result = report(json.dumps([{"a": "1" * 100_000, "b": 1}]), JSON)

    assert column_types(result) == {"a": ("text", 0), "b": ("integer", 0)}


@pytest.mark.fault("F67")
@pytest.mark.parametrize("header", ['"name; first; last","born"', '"a ""b;;"" c",d', 'a,"b;c;d"', '"a;b;",";;"'])
def test_delimiter_in_a_quoted_column_name_is_part_of_the_name(header: str) -> None:
    result = report(f"{header}\n1,2\n")

    assert result.passed
    assert len(result.columns) == 2
