"""Tests of the weekly check of the keys, and of the re-encryption in the background."""

from __future__ import annotations

import pytest
from flask import Flask
from prometheus_client import REGISTRY
from sqlalchemy.orm import Session

from app.encryption_keys import service, tasks
from tests.encryption_keys.stored_names import NEW_RING, add_key, stored


@pytest.mark.parametrize(("days", "warned"), [(89, False), (90, True)])
@pytest.mark.req("P1")
def test_check_warns_when_a_new_key_is_due(
    rotated_app: Flask, session: Session, caplog: pytest.LogCaptureFixture, days: int, warned: bool
) -> None:
    add_key(session, NEW_RING.current, days)

    with rotated_app.app_context():
        tasks.check_keys()

    messages = [record.getMessage() for record in caplog.records]
    assert any("a new key has been due since day 90" in message for message in messages) is warned
    assert REGISTRY.get_sample_value("encryption_key_age_days") == days


@pytest.mark.req("P1")
def test_check_starts_reencryption_of_outdated_values(
    rotated_app: Flask, session: Session, user_ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    with monkeypatch.context() as patch, rotated_app.app_context():
        patch.setattr(tasks.reencrypt, "try_delay", lambda: sent.append("reencrypt"))
        tasks.check_keys()
        tasks.reencrypt()
        tasks.check_keys()

    assert sent == ["reencrypt"]
    assert all(stored(session, user_id).startswith(f"enc2:{NEW_RING.current}:") for user_id in user_ids)


def test_long_reencryption_continues_in_a_new_task(
    rotated_app: Flask, session: Session, user_ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(service, "BATCH", 2)
    monkeypatch.setattr(tasks, "TIME_SHARE", 0)
    with monkeypatch.context() as patch, rotated_app.app_context():
        patch.setattr(tasks.reencrypt, "try_delay", lambda: sent.append("reencrypt"))
        for _ in range(4):
            tasks.reencrypt()

    assert sent == ["reencrypt"] * 3  # the fourth task finds no outdated values
    assert all(stored(session, user_id).startswith(f"enc2:{NEW_RING.current}:") for user_id in user_ids)
