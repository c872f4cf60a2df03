"""At least one admin remains, even if two are demoted at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import administration, service
from app.accounts.models import User
from app.platform.database.base import db
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import make_user
from tests.servers import wait_until
from tests.statements import recorded_statements


@pytest.mark.req("A5")
def test_concurrent_demotions_leave_one_admin(app: Flask, session: Session) -> None:
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no row locks")
    ids = [make_user(session, role="admin").id for _ in range(2)]

    def demote(user_id: int) -> str:
        with Session(engine) as thread_session:
            try:
                user, _ = administration.change_role(
                    thread_session, user_id, "user", origin=RequestOrigin(None, None), actor_id=user_id
                )
            except service.LastAdmin:
                return "last"
            return user.role

    session.execute(sa.select(User.id).with_for_update())  # both threads read the admins before either changes one
    with ThreadPoolExecutor(2) as pool, recorded_statements(engine) as statements:
        demotions = [pool.submit(demote, user_id) for user_id in ids]
        both_wait = wait_until(lambda: sum("FOR UPDATE" in statement for statement, _ in statements) >= 2, 60)
        session.rollback()
        results = sorted(future.result() for future in demotions)

    session.expire_all()
    assert both_wait
    assert results == ["last", "user"]
    assert sorted(session.get_one(User, user_id).role for user_id in ids) == ["admin", "user"]
