"""Sessions that have ended before the access tokens that were issued in them run out.

The database knows every session (`accounts`); Redis knows those that ended in the last minutes, so that each replica
refuses their tokens after one short question. While Redis is away, or where there is none, the database is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from flask import Flask, current_app
from redis import RedisError

from app.framework import kept
from app.redis_client import redis_of, rest_of
from app.settings import settings_of

logger = logging.getLogger(__name__)

Lives = Callable[[int], bool]


def register_truth(app: Flask, lives: Lives) -> None:
    """Name whoever knows for certain whether a session lives."""
    app.extensions["session_lives"] = lives


def end(session_ids: Iterable[int]) -> None:
    """Have every replica refuse the access tokens of these sessions; the database has been told already.

    When Redis does not answer, that is logged: the database is asked meanwhile, and the job that tells Redis of recent
    endings again and again makes up for it.
    """
    redis = redis_of(current_app)
    if redis is None:
        return
    try:
        with redis.pipeline(transaction=False) as pipeline:
            for session_id in session_ids:
                pipeline.set(ended_key(session_id), 1, ex=settings_of(current_app).ACCESS_TOKEN_SECONDS + 60)
            pipeline.execute()
    except RedisError as error:
        rest_of(current_app).begin()
        logger.warning("Redis was not told that sessions ended: %s", error)


def ended_key(session_id: int) -> str:
    """What is there in Redis once the session has ended."""
    return f"{settings_of(current_app).SERVICE_NAME}:ended:{session_id}"


def note(session_id: int, *, ended: bool) -> None:
    """Keep for this request what Redis has told somebody who asked it more than that."""
    kept().session_told = (session_id, ended)


def has_ended(session_id: int) -> bool:
    """Whether the tokens of this session are good no more."""
    told, ended = kept().get("session_told", (None, False))
    if told == session_id:
        return bool(ended)
    redis, rest = redis_of(current_app), rest_of(current_app)
    if redis is not None and rest.is_over():
        try:
            return bool(redis.exists(ended_key(session_id)))
        except RedisError as error:
            rest.begin()
            logger.warning("Redis does not answer; the database is asked for ended sessions: %s", error)
    lives: Lives = current_app.extensions["session_lives"]
    return not lives(session_id)
