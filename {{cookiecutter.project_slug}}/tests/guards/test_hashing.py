"""Every route that hashes a password bounds how many do so at a time."""

from __future__ import annotations

import pytest
from flask import Flask, has_request_context, request
from sqlalchemy.orm import Session

from app.platform.security import passwords
from app.platform.web.request_state import request_state
from tests.route_calls import RouteCaller


class RecordingHasher:
    """Records the routes that hash without a slot."""

    def __init__(self) -> None:
        self.hasher = passwords._hasher
        self.bounded: set[str] = set()
        self.unbounded: set[str] = set()

    def hash(self, password: str) -> str:
        self._record()
        return self.hasher.hash(password)

    def verify(self, encoded: str, password: str) -> bool:
        self._record()
        return self.hasher.verify(encoded, password)

    def check_needs_rehash(self, encoded: str) -> bool:
        return self.hasher.check_needs_rehash(encoded)

    def _record(self) -> None:
        if has_request_context():
            (self.bounded if request_state().concurrency_slot else self.unbounded).add(str(request.url_rule))


@pytest.mark.req("S13")
@pytest.mark.fault("F31")
def test_every_route_that_hashes_has_a_concurrency_limit(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = RecordingHasher()
    monkeypatch.setattr(passwords, "_hasher", recorder)

    RouteCaller(app, session, 1).call_all()

    advice = 'put @concurrency_limit("CONCURRENCY_HASHING") of app.platform.api.concurrency on the view'
    assert not recorder.unbounded, f"{recorder.unbounded}: {advice}"
    assert len(recorder.bounded) >= 4  # the guard sees register, login, change and reset
