"""Dead letters in this process; `running/test_dead_letters.py` starts a real worker."""

from __future__ import annotations

import base64
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.message import Message
from redis import Redis

from app.platform.tasks import dead_letters
from app.platform.tasks.consumer import Consumer, _are_limits, _payload_problem
from app.platform.tasks.dead_letters import LETTERS, DeadLetters, message_problem
from tests.servers import free_port

pytestmark = [pytest.mark.req("W7"), pytest.mark.fault("F39")]

BODY = base64.b64encode(b"[[], {}, {}]").decode()
ENVELOPE: dict[str, Any] = {
    "body": BODY,
    "headers": {"task": "heartbeat"},
    "properties": {
        "body_encoding": "base64",
        "delivery_tag": "1",
        "delivery_info": {"exchange": "", "routing_key": "default"},
    },
}


def test_letter_is_stored_counted_and_logged_without_its_content(
    redis: Redis, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    before = LETTERS.labels("not_json")._value.get()

    with caplog.at_level(logging.ERROR):
        assert DeadLetters(redis, "letters").keep("not_json", "default", secret, task="t" * 300)

    (letter,) = map(json.loads, redis.lrange("letters", 0, -1))
    (record,) = [record for record in caplog.records if record.name == dead_letters.__name__]
    assert LETTERS.labels("not_json")._value.get() == before + 1
    assert (letter["reason"], letter["queue"], letter["message"]) == ("not_json", "default", secret)
    assert (letter["characters"], letter["task"]) == (len(secret), "t" * 200)
    assert {"reason": "not_json", "queue": "default", "characters": len(secret)}.items() <= vars(record).items()
    assert secret not in str(vars(record))


def test_newest_letters_are_kept_for_a_while(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "MAX_LETTERS", 2)
    monkeypatch.setattr(dead_letters, "MAX_CHARACTERS", 5)

    for number in range(3):
        DeadLetters(redis, "letters").keep("not_json", "default", f"{number} is too long")

    assert [json.loads(letter)["message"] for letter in redis.lrange("letters", 0, -1)] == ["2 is ", "1 is "]
    assert 0 < redis.ttl("letters") <= dead_letters.KEPT_SECONDS


def test_letter_that_cannot_be_stored_is_reported() -> None:
    with Redis(port=free_port(), socket_timeout=1) as unavailable:
        assert not DeadLetters(unavailable, "letters").keep("not_json", "default", "x")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (ENVELOPE, ""),
        ([], "envelope"),
        ({**ENVELOPE, "body": 1}, "envelope"),
        ({**ENVELOPE, "headers": None}, "envelope"),
        ({**ENVELOPE, "properties": {**ENVELOPE["properties"], "body_encoding": "utf-8"}}, "envelope"),
        ({**ENVELOPE, "properties": {**ENVELOPE["properties"], "delivery_info": {}}}, "envelope"),
        ({**ENVELOPE, "body": "abc"}, "content"),
    ],
)
def test_entry_of_a_queue_that_is_no_message_has_a_reason(message: object, problem: str) -> None:
    assert message_problem(json.dumps(message).encode()) == problem


@pytest.mark.parametrize("item", [b"", b"\xff", b"{", b"[" * 100_000])
def test_entry_that_is_no_json_has_a_reason(item: bytes) -> None:
    assert message_problem(item) == "not_json"


@pytest.mark.parametrize(
    ("limits", "valid"),
    [(None, True), ([None, 60], True), ([1.5, None], True), ([1], False), ("60", False), (["1", 2], False)],
)
def test_time_limits_of_a_message(limits: object, valid: bool) -> None:
    assert _are_limits(limits) is valid


class TaskWithSignature:
    """A task that takes one argument."""

    @staticmethod
    def __header__(number: int) -> None:
        """Take one argument."""


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ([[1], {}, {}], ""),
        ([[], {"number": 1}, {}], ""),
        ([[], {}, {}], "arguments"),
        ([[1, 2], {}, {}], "arguments"),
        ([[1], {"other": 1}, {}], "arguments"),
        ([[1], {}], "arguments"),
        ({}, "arguments"),
    ],
)
def test_arguments_must_match_the_signature(payload: object, problem: str) -> None:
    assert _payload_problem(payload, TaskWithSignature) == problem


def test_task_without_signature_takes_any_arguments() -> None:
    assert _payload_problem([[1, 2], {"a": 3}, {}], object()) == ""


HEADERS = {"task": "known", "id": "1", "timelimit": [None, None]}
CALL = "[[1], {}, {}]"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"content_encoding": "UTF-8"}, ""),
        ({"headers": {**HEADERS, "task": None}}, "headers"),
        ({"headers": {**HEADERS, "id": 1}}, "headers"),
        ({"headers": {**HEADERS, "timelimit": "60"}}, "headers"),
        ({"headers": {**HEADERS, "task": "unknown"}}, "unknown_task"),
        ({"content_type": "application/x-python-serialize"}, "content"),
        ({"content_encoding": "latin-1"}, "content"),
        ({"body": "{"}, "content"),
        ({"body": "[[], {}, {}]"}, "arguments"),
    ],
)
def test_message_without_a_valid_task_has_a_reason(changes: dict[str, Any], problem: str) -> None:
    consumer = SimpleNamespace(strategies={"known": None}, app=SimpleNamespace(tasks={"known": TaskWithSignature}))
    valid = {"body": CALL, "content_type": "application/json", "content_encoding": "utf-8", "headers": HEADERS}
    message = Message(**{**valid, **changes}, accept={"application/json"})

    assert Consumer._problem(consumer, message) == problem  # type: ignore[arg-type] # they have what it reads
