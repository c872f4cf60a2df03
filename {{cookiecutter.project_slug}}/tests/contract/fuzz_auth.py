"""The callers of the fuzzer and the objects that they own; created in the database and storage of the service."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.platform.database.base import db
from tests.accounts.factory import bearer, make_user
from tests.samples import create_object, fuzz_bodies, fuzz_ends_session

ROLE = os.environ.get("FUZZ_ROLE", "")  # user, admin, or empty for anonymous requests


@cache
def service() -> Flask:
    """Return a second app on the servers of the service under test."""
    return create_app()


@contextmanager
def database() -> Iterator[Session]:
    """Open a session in the database of the service, in an app context."""
    with service().app_context(), Session(db.engine) as session:
        yield session


def new_user(session: Session) -> User:
    """Create a user with the role."""
    return make_user(session, role=ROLE or "user", email=f"fuzz-{os.urandom(8).hex()}@example.org")


@dataclass
class Caller:
    """The user of most requests, and the header that authenticates it."""

    user_id: int | None = None
    header: dict[str, str] | None = None

    def user(self, session: Session) -> User:
        """Return the user; restores the role, and creates a new user if a request deleted the account."""
        user = (session.get(User, self.user_id) if self.user_id else None) or new_user(session)
        user.role = ROLE or "user"
        session.commit()
        self.user_id = user.id
        return user

    def auth_header(self) -> dict[str, str]:
        """Return the header; creates a new session if `header` is None."""
        if self.header is None:
            with database() as session:
                self.header = bearer(service(), self.user(session))
        return self.header


CALLER = Caller()


def auth_header(operation_id: str) -> dict[str, str]:
    """Return the header for a request; an operation that ends the session or the account gets a new user."""
    if not ROLE:
        return {}
    if operation_id not in fuzz_ends_session():
        return CALLER.auth_header()
    with database() as session:
        return bearer(service(), new_user(session))


def valid_body(operation_id: str) -> dict[str, str]:
    """Return the members of a body that no generated text can replace, such as a token."""
    create = fuzz_bodies().get(operation_id)
    if create is None:
        return {}
    with database() as session:
        return create(service(), session, new_user(session))


def valid_path(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Return ids of existing objects of the caller for the path parameters."""
    if not ROLE or not parameters:
        return {}
    with database() as session:
        user = CALLER.user(session)
        return {name: create_object(service(), session, user, name) for name in parameters}
