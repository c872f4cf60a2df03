"""The daily verification of the audit log."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from app.audit import tasks, verification
from tests.audit.conftest import LogUnderTest
from tests.log_capture import captured_log

pytestmark = [pytest.mark.fault("F58"), pytest.mark.req("P4")]


def verify(log: LogUnderTest, **settings: str) -> tuple[float | None, str]:
    """Return the value of the gauge and the log lines."""
    with log.app(**settings).app_context(), captured_log() as lines:
        tasks.verify()
    return REGISTRY.get_sample_value("audit_log_problems"), lines.getvalue()


def test_untouched_log_has_no_problems(log: LogUnderTest) -> None:
    log.record(3)
    log.seal()

    count, lines = verify(log)

    assert count == 0
    assert "problem" not in lines


def test_changed_entry_is_counted_and_logged(log: LogUnderTest) -> None:
    entry_id = log.record(3)[0]
    log.seal()
    log.tamper("UPDATE audit_logs SET action = 'test.undone' WHERE id = :id", id=entry_id)

    count, lines = verify(log)

    assert count == 1
    assert f"Entry {entry_id}: changed after the seal" in lines


def test_large_log_ends_with_a_hint(log: LogUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "BATCH", 2)
    monkeypatch.setattr(tasks, "TIME_SHARE", 0.0)
    log.record(5)
    log.seal()

    _, lines = verify(log)

    assert "2 entries were verified" in lines
    assert "Run flask audit-log verify every day" in lines
