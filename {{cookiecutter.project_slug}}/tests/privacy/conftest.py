"""A user that was erased."""

from __future__ import annotations

from datetime import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User


@pytest.fixture
def erased_user(client: FlaskClient, session: Session, user: User, headers: dict[str, str]) -> tuple[int, datetime]:
    """The id and the registration time of an erased user."""
    identity = user.id, user.created_at
    assert client.delete("/api/v1/users/me", headers=headers).status_code == 204
    session.expunge(user)
    return identity
