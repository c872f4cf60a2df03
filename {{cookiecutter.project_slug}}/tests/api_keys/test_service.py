"""Rules of API keys that a single request does not show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import User
from app.api_keys import service
from app.api_keys.models import ApiKey
from app.platform.database.base import db
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import make_session
from tests.api_keys.factory import make_key
from tests.locks import waits_for_lock
from tests.servers import wait_until

ORIGIN = RequestOrigin(None, None)
NEW_KEY: dict[str, Any] = {"name": "a key", "scopes": ["profile:read"], "expires_in_days": 1, "origin": ORIGIN}


@pytest.mark.req("A2")
def test_concurrent_requests_cannot_exceed_the_key_limit(app: Flask, session: Session, user: User) -> None:
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no row locks")
    for _ in range(service.MAX_KEYS - 1):
        make_key(session, user, "profile:read")
    user_id, session_id = user.id, make_session(session, user).id

    def create(_: int) -> bool:
        with Session(engine) as thread_session:
            try:
                service.create(thread_session, user_id, session_id=session_id, **NEW_KEY)
            except service.TooManyKeys:
                return False
            return True

    with ThreadPoolExecutor(5) as pool:
        results = list(pool.map(create, range(5)))

    assert sorted(results) == [False] * 4 + [True]
    assert session.query(ApiKey).count() == service.MAX_KEYS


@pytest.mark.fault("F3")
@pytest.mark.req("A2")
def test_ended_session_creates_no_key(app: Flask, session: Session, user: User) -> None:
    ended = make_session(session, user)
    with app.app_context():
        accounts.logout(session, user_id=user.id, session_id=ended.id, everywhere=True, origin=ORIGIN)

    with pytest.raises(service.SessionEnded):
        service.create(session, user.id, session_id=ended.id, **NEW_KEY)


@pytest.mark.fault("F3")
@pytest.mark.req("A2")
def test_key_of_a_concurrent_request_does_not_survive(app: Flask, session: Session, user: User) -> None:
    """All sessions of the user end while another request, which passed the access check, creates a key."""
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no row locks")
    user_id, session_id = user.id, make_session(session, user).id

    def create() -> None:
        with Session(engine) as thread_session, suppress(service.SessionEnded):
            service.create(thread_session, user_id, session_id=session_id, **NEW_KEY)

    with ThreadPoolExecutor(1) as pool, app.app_context():
        accounts.lock(session, user_id)
        request = pool.submit(create)
        assert wait_until(lambda: waits_for_lock(engine), 60)
        accounts.logout(session, user_id=user_id, session_id=session_id, everywhere=True, origin=ORIGIN)
        request.result()

    assert session.query(ApiKey).filter(ApiKey.revoked_at.is_(None)).count() == 0


def test_text_of_a_key_has_a_checksum() -> None:
    _, text = service.new_key_text()

    assert service.is_well_formed(text)
    for position in (5, 20, len(text) - 1):
        changed = "a" if text[position] != "a" else "b"
        assert not service.is_well_formed(text[:position] + changed + text[position + 1 :])


@pytest.mark.fault("F37")
@pytest.mark.req("A2")
def test_concurrent_first_requests_cannot_exceed_the_key_limit(app: Flask, session: Session, user: User) -> None:
    with app.app_context():
        url = db.engine.url
    if url.get_backend_name() == "sqlite":
        pytest.skip("SQLite has no row locks")
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="READ COMMITTED")
    user_id, session_id = user.id, make_session(session, user).id
    count = service.MAX_KEYS + 10
    connected = Barrier(count, timeout=60)

    def create(_: int) -> bool:
        with Session(engine) as thread_session:
            thread_session.connection()
            connected.wait()
            try:
                service.create(thread_session, user_id, session_id=session_id, **NEW_KEY)
            except service.TooManyKeys:
                return False
            return True

    with ThreadPoolExecutor(count) as pool:
        results = list(pool.map(create, range(count)))

    assert results.count(True) == service.MAX_KEYS
    assert session.query(ApiKey).count() == service.MAX_KEYS


@pytest.mark.fault("F28")
def test_key_of_deleted_user_is_rejected(session: Session) -> None:
    with pytest.raises(service.SessionEnded):
        service.create(session, 10**15, session_id=10**15, **NEW_KEY)


def test_export_contains_all_but_the_hash(session: Session, user: User, other_user: User) -> None:
    key, _ = make_key(session, user, "profile:read")
    make_key(session, other_user, "profile:read")

    rows = service.export(session, user.id)

    assert [row["prefix"] for row in rows] == [key.prefix]
    assert rows[0].keys() == {column.name for column in ApiKey.__table__.columns} - {"user_id", "key_hash"}
