"""Rules and queries of idempotency keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.idempotency.models import IdempotencyKey
from app.platform.api.idempotency import Answer, KeyedRequest, StoredAnswer
from app.platform.database.base import rows_changed, utc_now
from app.platform.database.encrypted_attribute import text_or_none
from app.platform.database.encryption import place_of
from app.platform.personal_data import delete_in_portions, rows_as_dicts

BATCH = 1000  # expired keys that one statement deletes

_keys = IdempotencyKey.__table__.c
FIND = sa.select(_keys.id, _keys.fingerprint, _keys.answer, _keys.created_at).where(
    _keys.user_id == sa.bindparam("user_id"), _keys.key_hash == sa.bindparam("key_hash")
)


class AnswerStore:
    """The answers in the database; a key is valid for `lifetime` seconds."""

    def __init__(self, lifetime: float) -> None:
        self._lifetime = timedelta(seconds=lifetime)

    def find(self, connection: sa.Connection, request: KeyedRequest) -> StoredAnswer | None:
        """Return the answer under a user's key, or None; deletes a key that has expired, so that it can be used."""
        found = connection.execute(FIND, {"user_id": request.user_id, "key_hash": request.key_hash}).one_or_none()
        if found is None:
            return None
        if found.created_at <= utc_now() - self._lifetime:
            connection.execute(sa.delete(IdempotencyKey).where(_keys.id == found.id))
            return None
        text = text_or_none(found.answer, place_of("idempotency_keys", "answer", found.id, request.user_id))
        return StoredAnswer(found.fingerprint, None if text is None else _parse(text))

    def save(self, session: Session, request: KeyedRequest, answer: Answer) -> None:
        """Store the answer of a request; the caller commits. Raises `IntegrityError` if the key has an answer."""
        session.add(IdempotencyKey(**asdict(request), answer=json.dumps(asdict(answer))))
        session.flush()


def _parse(stored: str) -> Answer:
    answer = json.loads(stored)
    return Answer(answer["status"], tuple((name, value) for name, value in answer["headers"]), answer["body"])


def delete_expired(session: Session, lifetime: timedelta) -> int:
    """Delete the keys that are older than `lifetime` in batches, each with its own commit; return how many."""
    deleted = 0
    expired = IdempotencyKey.created_at <= utc_now() - lifetime
    oldest = sa.select(IdempotencyKey.created_at).where(expired).order_by(IdempotencyKey.created_at).limit(BATCH)
    while times := session.scalars(oldest).all():
        deleted += rows_changed(session, sa.delete(IdempotencyKey).where(IdempotencyKey.created_at <= times[-1]))
        session.commit()
    return deleted


def export(session: Session, user_id: int) -> list[dict[str, Any]]:
    """Return when a user sent keys, without the keys and without the answers, which repeat other data of the user."""
    query = sa.select(IdempotencyKey).where(IdempotencyKey.user_id == user_id).order_by(IdempotencyKey.id)
    return rows_as_dicts(session, query, exclude=("key_hash", "fingerprint", "answer", "user_id"))


def erase(session: Session, user_id: int) -> Iterator[None]:
    """Delete a user's keys in portions; yields after each."""
    for _ in delete_in_portions(session, IdempotencyKey, user_id, (IdempotencyKey.key_hash,)):
        yield
