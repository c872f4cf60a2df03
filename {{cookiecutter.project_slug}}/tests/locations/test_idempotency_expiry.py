"""Idempotency keys expire."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.idempotency.models import IdempotencyKey
from app.platform.database.base import utc_now
from tests.idempotency.repetitions import Send, assert_replayed, count

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
