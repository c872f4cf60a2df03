"""Answers as JSON, whatever the quick encoder makes of them."""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from app.framework import Service


def answer(content: dict[str, object]) -> TestResponse:
    service = Service("planted")
    service.add_url_rule("/", view_func=lambda: content)
    return service.test_client().get("/")


@pytest.mark.parametrize("odd", ["\ud800", 2**70], ids=["half a pair", "70 bits"])
def test_what_the_quick_encoder_refuses_is_answered_all_the_same(odd: object) -> None:
    answered = answer({"odd": odd})

    assert answered.mimetype == "application/json"
    assert answered.json == {"odd": odd}


def test_an_answer_is_short_ends_in_a_line_and_keeps_its_order() -> None:
    answered = answer({"b": 1.5, "a": "größer", "c": [None, True]})

    assert answered.data == '{"b":1.5,"a":"größer","c":[null,true]}\n'.encode()
