"""Which users others may see, as conditions for the queries of features."""

from __future__ import annotations

import sqlalchemy as sa

from app.accounts.models import User


def is_restricted(user_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Return the condition that no one else may see a user's data, by an id column of a query.

    Its processing is restricted, or the user is being erased.
    """
    return sa.exists().where(User.id == user_id, User.processing_restricted)


def is_suspended(user_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Return the condition that a user is suspended, by an id column of a query."""
    return sa.exists().where(User.id == user_id, User.suspended_at.is_not(None))
