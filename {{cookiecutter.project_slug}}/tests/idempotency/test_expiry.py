"""Expired idempotency keys are deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.idempotency import service
from app.idempotency.models import IdempotencyKey
from app.platform.database.base import utc_now
from tests.idempotency.repetitions import count
from tests.unique_values import unique_text

pytestmark = pytest.mark.req("A9")


def add_key(session: Session, user: User, age: timedelta) -> None:
    session.add(
        IdempotencyKey(
            user_id=user.id,
            key_hash=unique_text(),
            fingerprint=unique_text(),
            answer=unique_text(),
            created_at=utc_now() - age,
        )
    )


def test_expired_keys_are_deleted_in_batches(session: Session, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    for number in range(5):
        add_key(session, user, timedelta(days=2, seconds=number))
    add_key(session, user, timedelta(hours=23))
    session.commit()

    deleted = service.delete_expired(session, timedelta(days=1))

    assert deleted == 5
    assert count(session, IdempotencyKey) == 1
