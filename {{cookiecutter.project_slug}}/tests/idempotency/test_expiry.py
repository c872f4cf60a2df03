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
from tests.idempotency.samples import add_key

pytestmark = pytest.mark.req("A9")


def test_expired_keys_are_deleted_in_batches(session: Session, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    for number in range(5):
        add_key(session, user, utc_now() - timedelta(days=2, seconds=number))
    add_key(session, user, utc_now() - timedelta(hours=23))
    session.commit()

    deleted = service.delete_expired(session, timedelta(days=1))

    assert deleted == 5
    assert count(session, IdempotencyKey) == 1
