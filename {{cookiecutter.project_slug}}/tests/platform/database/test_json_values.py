"""JSON columns: any text of the database can be read, and unusual ones have a marker."""

from __future__ import annotations

import json

import pytest

from app.platform.database.json_values import MAX_DEPTH, loads

pytestmark = [pytest.mark.req("P4"), pytest.mark.fault("F58")]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "value",
    [{}, None, 1.5, {"filters": {"status": "[{"}}, ["[" * 100], [[]] * 100, {'"[': ['\\"' * 40 + "[" * 80]}],
    ids=str,
)
def test_values_are_read(value: object) -> None:
    text = json.dumps(value)

    assert loads(text) == loads(text.encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        nested(MAX_DEPTH + 1),
        nested(100_000),
        "[[]," * 1200 + "1" + "]" * 1200,
        '{"a":' * 5000 + "1" + "}" * 5000,
        "[" * 5000,
        "9" * 5000,
        "",
        "{",
        "\ud800",
    ],
    ids=lambda text: text[:9],
)
def test_unusual_texts_have_a_marker(text: str) -> None:
    value = loads(text)

    assert value.keys() == {"unreadable"}
    assert value != loads(f"{text} ")


def test_deepest_value_is_read() -> None:
    assert json.dumps(loads(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
