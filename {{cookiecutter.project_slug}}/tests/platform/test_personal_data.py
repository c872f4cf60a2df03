"""Rows of one user are deleted in portions, whatever their order in the index."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User, UserSession
from app.platform import personal_data
from app.platform.database.base import utc_now
from app.platform.personal_data import delete_in_portions
from tests.accounts.factory import make_session

pytestmark = [pytest.mark.req("P3"), pytest.mark.fault("F54")]


@pytest.mark.parametrize("order", [(UserSession.created_at, UserSession.id), (UserSession.id,)], ids=["time", "id"])
def test_rows_of_one_user_are_deleted_in_portions(
    session: Session, user: User, other_user: User, monkeypatch: pytest.MonkeyPatch, order: tuple[object, ...]
) -> None:
    monkeypatch.setattr(personal_data, "PORTION", 2)
    now = utc_now()
    kept = make_session(session, other_user).id
    own = [make_session(session, user) for _ in range(5)]
    for number, row in enumerate(own):
        row.created_at = now - timedelta(seconds=number // 2)  # two rows have the same time
    session.commit()
    ids = [row.id for row in own]

    portions = []
    for portion in delete_in_portions(session, UserSession, user.id, order, UserSession.id):
        session.commit()
        portions.append([row_id for (row_id,) in portion])

    assert [len(portion) for portion in portions] == [2, 2, 1]
    assert sorted(chain(*portions)) == sorted(ids)
    assert session.scalars(sa.select(UserSession.id)).all() == [kept]


def test_no_row_is_no_portion(session: Session, user: User) -> None:
    assert list(delete_in_portions(session, UserSession, user.id, (UserSession.id,))) == []
