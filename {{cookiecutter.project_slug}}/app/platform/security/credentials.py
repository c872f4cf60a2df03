"""Credentials that features issue in the name of a user, such as API keys; they end with the user's sessions."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, current_app
from sqlalchemy.orm import Session

from app.platform.components import platform_of
from app.platform.web.client_address import RequestOrigin

# Arguments: the session, the user, who acts (None: the service), and the origin of the request. Does not commit.
RevokeCredentials = Callable[[Session, int, int | None, RequestOrigin], None]


class CredentialRevocations(list[RevokeCredentials]):
    """The functions of one app, each of which revokes all credentials of one kind of a user."""


def register(app: Flask, revoke_credentials: RevokeCredentials) -> None:
    """Register a function that revokes all credentials of one kind of a user."""
    platform_of(app).get_or_create(CredentialRevocations).append(revoke_credentials)


def revoke_all(session: Session, user_id: int, *, actor_id: int | None, origin: RequestOrigin) -> None:
    """Revoke everything that features issued in the name of a user; the caller commits."""
    for revoke_credentials in platform_of(current_app).get_or_create(CredentialRevocations):
        revoke_credentials(session, user_id, actor_id, origin)
