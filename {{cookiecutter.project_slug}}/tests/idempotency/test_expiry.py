"""Idempotency keys expire."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.idempotency import service
from app.idempotency.models import IdempotencyKey
from app.platform.database.base import utc_now
from tests.idempotency.conftest import Send, assert_replayed, count

pytestmark = pytest.mark.req("A9")


def age_keys(session: Session, age: timedelta) -> None:
    session.execute(sa.update(IdempotencyKey).values(created_at=utc_now() - age))
    session.commit()


def test_expired_key_can_be_used_again(session: Session, send: Send) -> None:
    first = send()
    age_keys(session, timedelta(hours=24, seconds=1))

    second = send()

    assert second.status_code == 201
    assert second.get_json()["id"] != first.get_json()["id"]
    assert count(session, IdempotencyKey) == 1


def test_key_is_valid_for_a_day(session: Session, send: Send) -> None:
    first = send()
    age_keys(session, timedelta(hours=23, minutes=59))

    assert_replayed(first, send())


def test_expired_keys_are_deleted_in_batches(session: Session, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    for number in range(5):
        send(f"old-{number}")
    for number, key in enumerate(session.scalars(sa.select(IdempotencyKey)).all()):
        key.created_at = utc_now() - timedelta(days=2, seconds=number)
    session.commit()
    send("new")

    deleted = service.delete_expired(session, timedelta(days=1))

    assert deleted == 5
    assert count(session, IdempotencyKey) == 1
