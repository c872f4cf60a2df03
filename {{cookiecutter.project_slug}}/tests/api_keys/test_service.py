"""Rules of API keys that no single request shows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.api_keys import service
from app.api_keys.models import ApiKey
from app.audit.service import Origin
from app.database import db
from tests.api_keys.factory import make_key


@pytest.mark.req("A2")
def test_of_many_requests_at_a_time_only_as_many_make_a_key_as_there_is_room_for(
    app: Flask, session: Session, user: User
) -> None:
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no locks on rows")
    for _ in range(service.MOST_KEYS - 1):
        make_key(session, user, "files:read")
    user_id = user.id

    def make(_: int) -> bool:
        with Session(engine) as own:
            try:
                service.make(own, user_id, name="one", scopes=["files:read"], origin=Origin(None, None))
            except service.TooManyKeys:
                return False
            return True

    with ThreadPoolExecutor(5) as pool:
        made = list(pool.map(make, range(5)))

    assert sorted(made) == [False] * 4 + [True]
    assert session.query(ApiKey).count() == service.MOST_KEYS


def test_what_is_told_of_keys_holds_everything_but_the_hash(session: Session, user: User, other_user: User) -> None:
    key, _ = make_key(session, user, "files:read")
    make_key(session, other_user, "files:read")

    told = service.tell(session, user.id)

    assert [row["prefix"] for row in told] == [key.prefix]
    assert told[0].keys() == {column.name for column in ApiKey.__table__.columns} - {"user_id", "key_hash"}
