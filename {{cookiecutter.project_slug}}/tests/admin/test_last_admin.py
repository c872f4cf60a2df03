"""There is always an admin, also when two are demoted at the same time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import administration
from app.accounts.models import User
from app.audit.service import Origin
from app.database import db
from tests.accounts.factory import make_user

SETTLED = 0.5  # seconds, after which both wait for the lock


@pytest.mark.req("A5")
def test_of_two_admins_demoted_at_a_time_one_remains(app: Flask, session: Session) -> None:
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no locks on rows")
    ids = [make_user(session, role="admin").id for _ in range(2)]

    def demote(user_id: int) -> str:
        with Session(engine) as own:
            try:
                user, _ = administration.change_role(own, user_id, "user", origin=Origin(None, None), actor_id=user_id)
            except administration.LastAdmin:
                return "last"
            return user.role

    with ThreadPoolExecutor(2) as pool:
        session.execute(sa.select(User.id).with_for_update())  # both come to the admins before either has changed them
        waiting = [pool.submit(demote, user_id) for user_id in ids]
        time.sleep(SETTLED)
        session.rollback()
        results = sorted(future.result() for future in waiting)

    session.expire_all()
    assert results == ["last", "user"]
    assert sorted(session.get_one(User, user_id).role for user_id in ids) == ["admin", "user"]
