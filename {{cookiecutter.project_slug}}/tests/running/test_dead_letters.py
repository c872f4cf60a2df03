"""A message that is no task of the service does not stop a worker: it is kept, logged, counted, and work goes on."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import requests
from celery import Celery
from redis import Redis

from app import create_app
from tests.environments import OPERATOR, basic_environment
from tests.servers import RedisServer, RunningService, free_port, wait_until

pytestmark = [pytest.mark.running, pytest.mark.fault("F39"), pytest.mark.req("W7")]

QUEUE, LETTERS = "service-under-test.default", "service-under-test:dead-letters"
PRIVATE = "ann@example.org"
Change = Callable[[dict[str, Any]], None]


def with_body(content: str) -> Change:
    return lambda message: message.update(body=base64.b64encode(content.encode()).decode())


def with_headers(**headers: object) -> Change:
    return lambda message: message["headers"].update(headers)


RAW = {"no JSON": b"ann@example.org {", "no UTF-8": b"\xff\xfe", "JSON of another type": b"[1]", "empty object": b"{}",
       "custom type": b'{"__type__": "datetime", "__value__": "x"}', "deep JSON": b"[" * 100_000}  # fmt: skip
CHANGES: dict[str, tuple[Change, str]] = {
    "no properties": (lambda message: message.pop("properties"), "envelope"),
    "no delivery tag": (lambda message: message["properties"].pop("delivery_tag"), "envelope"),
    "delivery information of another type": (lambda message: message["properties"].update(delivery_info=1), "envelope"),
    "headers of another type": (lambda message: message.update(headers=["task"]), "envelope"),
    "body of another type": (lambda message: message.update(body={"a": 1}), "envelope"),
    "no Base64": (lambda message: message.update(body="a"), "content"),
    "foreign content type": (lambda message: message.update({"content-type": "application/x-python"}), "content"),
    "unknown content type": (lambda message: message.update({"content-type": "text/strange"}), "content"),
    "unknown encoding": (lambda message: message.update({"content-encoding": "rot13"}), "content"),
    "compression that is none": (with_headers(compression="application/x-gzip"), "content"),
    "body that is no JSON": (with_body(PRIVATE + " {"), "content"),
    "body of another structure": (with_body('{"args": []}'), "arguments"),
    "arguments of another type": (with_body('["ab", {}, {}]'), "arguments"),
    "too many arguments": (with_body(json.dumps([[PRIVATE], {}, {}])), "arguments"),
    "unknown argument": (with_body('[[], {"name": 1}, {}]'), "arguments"),
    "no task": (lambda message: message["headers"].pop("task"), "headers"),
    "task of another type": (with_headers(task={"a": 1}), "headers"),
    "no id": (lambda message: message["headers"].pop("id"), "headers"),
    "unknown task": (with_headers(task="no.such.task"), "unknown_task"),
    "time that is none": (with_headers(eta="soon"), "headers"),
    "expiry of another type": (with_headers(expires=[1]), "headers"),
    "limits of another type": (with_headers(timelimit="long"), "headers"),
}


@pytest.fixture
def celery(redis: RedisServer) -> Iterator[Celery]:
    """A sender of tasks."""
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis.url))
    yield app.extensions["celery"]
    app.extensions["celery"].close()


@pytest.fixture
def client(redis: RedisServer) -> Iterator[Redis]:
    with redis.client() as client:
        yield client


def parsed(text: Any) -> dict[str, Any]:
    """Parse a JSON object."""
    found: dict[str, Any] = json.loads(text)
    return found


def valid_message(celery: Celery, client: Redis) -> dict[str, Any]:
    """Return a message of the heartbeat task, taken from the queue."""
    celery.send_task("heartbeat")
    (message,) = client.lrange(QUEUE, 0, -1)
    client.delete(QUEUE)
    return parsed(message)


def letters(client: Redis) -> list[dict[str, Any]]:
    """Return the dead letters, the oldest first."""
    return [parsed(letter) for letter in reversed(client.lrange(LETTERS, 0, -1))]


def successes(worker: RunningService) -> int:
    return sum(line["message"] == "task ends" and line["state"] == "SUCCESS" for line in worker.lines())


def test_worker_survives_every_message_that_is_no_task(
    celery: Celery, client: Redis, start_worker: Callable[..., RunningService], tmp_path: object
) -> None:
    sample = valid_message(celery, client)
    port = free_port()
    settings = {"WORKER_METRICS_PORT": str(port), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    worker = start_worker(["worker", "--loglevel", "INFO", "--concurrency", "1"], **settings)
    worker.wait_until_printed("ready.", 300)
    for item in RAW.values():
        client.lpush(QUEUE, item)
    for change, _ in CHANGES.values():
        message = json.loads(json.dumps(sample))
        change(message)
        client.lpush(QUEUE, json.dumps(message))

    celery.send_task("heartbeat")

    assert wait_until(lambda: successes(worker) == 1, 300), worker.output()
    expected = ["not_json"] * 2 + ["envelope"] * 2 + ["not_json"] * 2 + [reason for _, reason in CHANGES.values()]
    kept = letters(client)
    assert [letter["reason"] for letter in kept] == expected
    assert kept[0]["message"] == "ann@example.org {"
    assert client.llen(QUEUE) == 0
    assert wait_until(lambda: client.hlen("service-under-test:unacknowledged") == 0, 300)
    assert PRIVATE not in worker.output()
    metrics = requests.get(f"http://127.0.0.1:{port}/metrics", headers=OPERATOR, timeout=60).text
    counted = re.findall(r"^celery_dead_letters_total\{.*\} ([\d.]+)", metrics, re.MULTILINE)
    assert sum(map(float, counted)) == len(expected)
    assert worker.stop() == 0


def receives_broadcast(client: Redis, text: str) -> bool:
    """Send a broadcast; returns whether anybody received it."""
    return bool(client.publish("/0.service-under-test.pidbox", text))


def test_worker_survives_broadcasts_that_are_no_commands(
    celery: Celery, client: Redis, start_worker: Callable[..., RunningService]
) -> None:
    worker = start_worker(["worker", "--loglevel", "INFO", "--concurrency", "1"])
    worker.wait_until_printed("ready.", 300)

    for broadcast in ("{", "{}", "[]", '{"properties": 1}'):
        assert wait_until(partial(receives_broadcast, client, broadcast), 300)
    celery.send_task("heartbeat")

    assert wait_until(lambda: successes(worker) == 1, 300), worker.output()
    assert wait_until(lambda: bool(celery.control.ping(timeout=5)), 300)


def test_number_and_size_of_dead_letters_are_bounded(
    celery: Celery, client: Redis, start_worker: Callable[..., RunningService]
) -> None:
    client.lpush(QUEUE, *["x"] * 600, "y" * 1_000_000)
    worker = start_worker(["worker", "--loglevel", "INFO", "--concurrency", "1"])

    celery.send_task("heartbeat")

    assert wait_until(lambda: successes(worker) == 1, 300), worker.output()
    newest = letters(client)[-1]
    assert client.llen(LETTERS) == 500
    assert (newest["characters"], len(newest["message"])) == (1_000_000, 65_536)
    assert client.ttl(LETTERS) > 0
