"""Who calls the service when it is fuzzed, and what they have in it; made in its own database and storage."""

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
from app.accounts import service as accounts
from app.accounts.models import User
from app.database import db
from app.security import tokens
from tests.accounts.factory import PASSWORD, bearer, make_session, make_user
from tests.api_keys.factory import make_key
from tests.data_files.factory import make_file, make_run

ROLE = os.environ.get("FUZZ_ROLE", "")  # user, admin, or nothing for nobody

# What ends the caller's own session, or the whole account: each of these calls is made by somebody new.
ENDINGS = {"auth_logout", "auth_change_password", "privacy_erase"}


@cache
def service() -> Flask:
    """The app under test once more, on the same servers."""
    return create_app()


@contextmanager
def database() -> Iterator[Session]:
    """A session in the service's database."""
    with service().app_context(), Session(db.engine) as session:
        yield session


def somebody(session: Session) -> User:
    """A new user in the role."""
    return make_user(session, role=ROLE or "user", email=f"fuzz-{os.urandom(8).hex()}@example.org")


@dataclass
class Regular:
    """Whoever makes most calls, and the header that shows it."""

    user_id: int | None = None
    header: dict[str, str] | None = None

    def user(self, session: Session) -> User:
        """Themselves, back in the role if an earlier call took it; somebody new if it took the account."""
        user = (session.get(User, self.user_id) if self.user_id else None) or somebody(session)
        user.role = ROLE or "user"
        session.commit()
        self.user_id = user.id
        return user

    def proof(self) -> dict[str, str]:
        """The header; made anew once `header` has been dropped."""
        if self.header is None:
            with database() as session:
                self.header = bearer(service(), self.user(session))
        return self.header


REGULAR = Regular()


def proof(operation_id: str) -> dict[str, str]:
    """The header of whoever calls an operation."""
    if not ROLE:
        return {}
    if operation_id not in ENDINGS:
        return REGULAR.proof()
    with database() as session:
        return bearer(service(), somebody(session))


def signing_in(session: Session) -> dict[str, str]:
    """What `login` takes."""
    return {"email": somebody(session).email, "password": PASSWORD}


def refreshing(session: Session) -> dict[str, str]:
    """What `refresh` takes."""
    begun = make_session(session, somebody(session))
    return {"refresh_token": tokens.sign(tokens.REFRESH, begun.user_id, 60, sid=begun.id, jti=begun.refresh_id)}


def resetting(session: Session) -> dict[str, str]:
    """What `reset-password` takes beside the new password."""
    user = somebody(session)
    return {"token": tokens.sign(tokens.RESET, user.id, 60, mark=accounts.fingerprint(user))}


PROOFS = {"auth_login": signing_in, "auth_refresh": refreshing, "auth_reset_password": resetting}


def true_body(operation_id: str) -> dict[str, str]:
    """What makes the body of an operation prove something, which no made-up text does."""
    if operation_id not in PROOFS:
        return {}
    with database() as session:
        return PROOFS[operation_id](session)


def true_path(given: Mapping[str, Any]) -> dict[str, int]:
    """Ids of things that are there, and the regular caller's own, in place of those in a path."""
    if not ROLE or not given:
        return {}
    with database() as session:
        user = REGULAR.user(session)
        return {name: _made(session, user, name) for name in given}


def _made(session: Session, user: User, name: str) -> int:
    match name:
        case "file_id":
            return make_file(service(), session, user).id
        case "run_id":
            return make_run(session, make_file(service(), session, user)).id
        case "key_id":
            return make_key(session, user)[0].id
        case "user_id":
            return somebody(session).id
        case _:
            raise LookupError(f"say here how a {name} is made")
