"""Values kept for a while in Redis, where every process and replica finds them.

While Redis does not answer, or where there is none, values are made as if there were no cache: that is a bypass, and
it is counted. No process keeps values for itself, but for a cache that says for how long it may.

Of several who miss a value at the same time, one makes it and the others wait for that.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from cachetools import TTLCache
from flask import Flask, current_app
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from redis import Redis, RedisError

from app.redis_client import Rest, connect, rest_of
from app.settings import settings_of

logger = logging.getLogger(__name__)

LARGEST_BYTES = 262_144  # of one value as JSON; larger ones would crowd out what else is in Redis
WAIT_SECONDS = 3.0  # for a value that somebody else makes, or whose maker died
POLL_SECONDS = 0.02
MAKING_SECONDS = 3600  # longer than the making of any value takes
IN_PROCESS_VALUES = 1000

Answer = TypeVar("Answer")

HIT, MISS, BYPASS = "hit", "miss", "bypass"
REQUESTS = Counter("cache_requests", "Values asked of a cache", ["cache", "result"])

# KEYS: the cache's generation, the value, the mark of whoever makes it. ARGV: the milliseconds that the mark stands.
# Answers the generation, the value if it is there and of this generation, and else whether the caller is to make it.
SCRIPT = """
local kept = redis.call('MGET', KEYS[1], KEYS[2])
local generation = kept[1] or ''
local beginning = generation .. '\\n'
if kept[2] and string.sub(kept[2], 1, #beginning) == beginning then
  return {generation, string.sub(kept[2], #beginning + 1), 0}
end
return {generation, false, redis.call('SET', KEYS[3], 1, 'NX', 'PX', ARGV[1]) and 1 or 0}
"""


@dataclass(frozen=True)
class Found:
    """What came of looking for a value.

    `HIT` and the value, with the text it was kept as; `MISS`; or `BYPASS` where it cannot be kept, or is too large.
    """

    result: str
    value: Any = None
    text: bytes = b""
    generation: bytes = b""
    is_mine: bool = False  # to make, after a miss


class Shelf:
    """Redis, as caches use it; every method raises `RedisError` where it does not answer."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis, self._prefix = redis, prefix
        self._script = redis.register_script(SCRIPT)

    def look(self, name: str, key: str) -> Found:
        """What is there; where nothing is, the first who looks is to make it."""
        generation, text, is_mine = self._script(self._keys(name, key), [int(WAIT_SECONDS * 1000)])
        if text is None:
            return Found(MISS, generation=generation, is_mine=bool(is_mine))
        return _read(text, generation)

    def wait(self, name: str, key: str) -> Found:
        """As `look`, but not before somebody else's making is done, or `WAIT_SECONDS` have passed."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := self.look(name, key)).result == MISS and not found.is_mine and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return found

    def keep(self, name: str, key: str, text: bytes, found: Found, seconds: int) -> None:
        """Keep a text, as of the time when its maker looked; an empty one says that the value is too large."""
        _, value, mark = self._keys(name, key)
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.set(value, found.generation + b"\n" + text, ex=seconds)
            pipeline.delete(mark)
            pipeline.execute()

    def give_up(self, name: str, key: str) -> None:
        """Let somebody else make the value."""
        self._redis.delete(self._keys(name, key)[2])

    def forget(self, name: str, seconds: int) -> None:
        """Begin a new generation: what was kept before, or is being made, is of no use any more."""
        self._redis.set(self._keys(name, "")[0], secrets.token_hex(8), ex=seconds + MAKING_SECONDS)

    def _keys(self, name: str, key: str) -> list[str]:
        start = f"{self._prefix}:cache:{name}"
        return [f"{start}:generation", f"{start}:value:{key}", f"{start}:making:{key}"]


class Cache:
    """Values of one kind, under a name of their own, each for `seconds` (`CACHE_DEFAULT_TTL` where none are given).

    With `in_process`, a process that was given a value may give it again for so many seconds more, in which `forget`
    does not reach it. Values of more than `largest` bytes are made anew each time.
    """

    def __init__(
        self, name: str, *, seconds: int | None = None, in_process: float = 0, largest: int = LARGEST_BYTES
    ) -> None:
        self._name, self._seconds, self._largest = name, seconds, largest
        self._near: TTLCache[str, bytes] | None = TTLCache(IN_PROCESS_VALUES, in_process) if in_process else None
        self._lock = Lock()
        for result in (HIT, MISS, BYPASS):  # so that the first of each is seen as a rise
            REQUESTS.labels(name, result)

    def get_or_make(self, key: object, make: Callable[[], Any]) -> Any:
        """The value of a key, kept or made now: what JSON knows, so no tuples, times or numbers as names.

        Keys are what JSON knows too, or have a `repr` that tells them apart. `make` is called by several at a time
        after all where it takes longer than `WAIT_SECONDS`; what it raises is passed on, and nothing is kept.
        """
        digest = _digest(key)
        found = self._find(digest)
        REQUESTS.labels(self._name, found.result).inc()
        match found.result:
            case "hit":
                return found.value
            case "miss":
                return json.loads(self._make(digest, found, make))
            case _:
                return json.loads(_as_json(make()))  # so that it looks the same, kept or not

    def forget(self) -> None:
        """Give none of the values that there are now; while Redis does not answer, they end by their age alone."""
        if self._near is not None:
            with self._lock:
                self._near.clear()
        _ask(lambda shelf: shelf.forget(self._name, self._life()))

    def _find(self, digest: str) -> Found:
        if self._near is None:
            return _ask(lambda shelf: shelf.wait(self._name, digest)) or Found(BYPASS)
        with self._lock:
            text = self._near.get(digest)
        if text:
            return _read(text, b"")
        found = _ask(lambda shelf: shelf.wait(self._name, digest)) or Found(BYPASS)
        if found.result == HIT:
            with self._lock:
                self._near[digest] = found.text
        return found

    def _make(self, digest: str, found: Found, make: Callable[[], Any]) -> bytes:
        try:
            text = _as_json(make())
        except BaseException:
            _ask(lambda shelf: shelf.give_up(self._name, digest))
            raise
        kept = text if len(text) <= self._largest else b""
        _ask(lambda shelf: shelf.keep(self._name, digest, kept, found, self._life()))
        return text

    def _life(self) -> int:
        return self._seconds or settings_of(current_app).CACHE_DEFAULT_TTL


def init_app(app: Flask) -> None:
    """Give the app's caches a place in Redis, where one is configured; nothing is opened yet."""
    settings = settings_of(app)
    url = settings.CACHE_REDIS_URL or settings.REDIS_URL
    shelf = Shelf(connect(settings, url, as_text=False), settings.SERVICE_NAME) if url else None
    app.extensions["cache"] = shelf
    app.extensions["cache_rest"] = rest_of(app) if url == settings.REDIS_URL else Rest()


def hit_ratios(families: Iterable[Metric]) -> Metric:
    """The share of hits among all requests since the start, by cache, out of the counts of all processes."""
    counts: dict[str, dict[str, float]] = defaultdict(dict)
    for sample in (sample for family in families if family.name == "cache_requests" for sample in family.samples):
        if sample.name == "cache_requests_total":
            counts[sample.labels["cache"]][sample.labels["result"]] = sample.value
    ratios = GaugeMetricFamily("cache_hit_ratio", "Share of hits among all values asked of a cache", labels=["cache"])
    for name, results in counts.items():
        if total := sum(results.values()):
            ratios.add_metric([name], results.get(HIT, 0) / total)
    return ratios


def _ask(question: Callable[[Shelf], Answer]) -> Answer | None:
    """The shelf's answer; None where there is no Redis, or it does not answer, or did not a moment ago."""
    shelf: Shelf | None = current_app.extensions["cache"]
    rest: Rest = current_app.extensions["cache_rest"]
    if shelf is None or not rest.is_over():
        return None
    try:
        return question(shelf)
    except RedisError as error:
        rest.begin()
        logger.warning("Redis does not answer; nothing is cached: %s", error)
        return None


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True, default=repr).encode()).hexdigest()


def _as_json(value: object) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def _read(text: bytes, generation: bytes) -> Found:
    """What a kept text says; one that is damaged is as good as none."""
    try:
        return Found(HIT, json.loads(text), text) if text else Found(BYPASS)
    except ValueError:
        return Found(MISS, generation=generation, is_mine=True)
