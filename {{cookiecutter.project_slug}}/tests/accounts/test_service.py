"""Rules of accounts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import administration, service
from app.accounts.models import User
from app.accounts.tasks import record_login
from app.accounts.user_sessions import Lifetime
from app.platform.database.base import db, utc_now
from app.platform.security.passwords import needs_rehash
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import PASSWORD, make_user

ORIGIN = RequestOrigin(address="192.0.2.1", request_id="a-test")
LIFETIME = Lifetime(timedelta(days=1), timedelta(days=2))


@pytest.fixture
def _row_locks(session: Session) -> None:
    if session.get_bind().dialect.name == "sqlite":
        pytest.skip("SQLite locks no rows; production does not support it")


def test_record_login_ignores_an_older_time(session: Session, user: User) -> None:
    later = utc_now()
    earlier = later - timedelta(minutes=1)

    service.record_login(session, user.id, later)
    service.record_login(session, user.id, earlier)

    session.refresh(user)
    assert user.last_login_at == later


def test_record_login_task_stores_the_time(app: Flask, session: Session, user: User) -> None:
    time = utc_now()

    with app.app_context():  # otherwise the task uses the app that another test created last
        record_login(user.id, time.isoformat())

    session.refresh(user)
    assert user.last_login_at == time


@pytest.mark.usefixtures("_row_locks")
@pytest.mark.fault("F51")
@pytest.mark.req("A10")
def test_login_during_a_demotion_has_the_new_role(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, other_admin = make_user(session, role="admin"), make_user(session, role="admin")

    def demote_and_verify(*_: object) -> bool:
        with Session(session.get_bind()) as another:
            administration.change_role(another, admin.id, "user", origin=ORIGIN, actor_id=other_admin.id)
        return True

    monkeypatch.setattr(service, "verify_password", demote_and_verify)
    with app.app_context():
        result = service.login(db.session(), email=admin.email, password=PASSWORD, lifetime=LIFETIME, origin=ORIGIN)

    assert result is not None
    assert result[0].role == "user"


@pytest.mark.usefixtures("_row_locks")
@pytest.mark.fault("F60")
@pytest.mark.req("A10")
def test_concurrent_logins_replace_an_outdated_hash_once(app: Flask, session: Session, user: User) -> None:
    user.password_hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    session.commit()
    email = user.email

    def login(_: int) -> bool:
        with app.app_context():
            return bool(service.login(db.session(), email=email, password=PASSWORD, lifetime=LIFETIME, origin=ORIGIN))

    with ThreadPoolExecutor(4) as threads:
        succeeded = list(threads.map(login, range(8)))

    session.refresh(user)
    assert succeeded == [True] * 8
    assert not needs_rehash(user.password_hash)
