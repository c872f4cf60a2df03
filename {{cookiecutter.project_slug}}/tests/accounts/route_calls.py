"""Calls of the routes of accounts (see tests/route_calls.py)."""

from __future__ import annotations

import uuid

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from tests.accounts.factory import PASSWORD, current_code, make_session, make_totp, make_user
from tests.accounts.samples import (
    create_email_change_body,
    create_reset_body,
    create_second_factor_body,
    create_verification_body,
)
from tests.route_calls import API, RouteCaller

NEW_PASSWORD = "another password 2"


def create_rows(_app: Flask, session: Session, user: User) -> None:
    """Create a session of the user, and another user."""
    make_session(session, user)
    make_user(session)


def call_routes(caller: RouteCaller) -> None:
    """Call every route of accounts."""
    call_authentication(caller)
    call_passwords(caller)
    call_emails(caller)
    call_second_factor(caller)
    user, admin = caller.user(), caller.user("admin")
    caller.call("GET", f"{API}/users/me", user)
    caller.call("PATCH", f"{API}/users/me", user, json={"display_name": "Ada"})
    caller.call("GET", f"{API}/users/me/sessions", user)
    caller.call("DELETE", f"{API}/users/me/sessions/<int:session_id>", user)
    caller.call("GET", f"{API}/admin/users", admin)
    caller.call("PUT", f"{API}/admin/users/<int:user_id>/role", admin, json={"role": "admin"})
    caller.call("POST", f"{API}/admin/users/<int:user_id>/suspend", admin, json={})
    caller.call("POST", f"{API}/admin/users/<int:user_id>/unsuspend", admin, json={})
    caller.call("POST", f"{API}/admin/users/<int:user_id>/reset-password", admin, json={})
    caller.call("POST", f"{API}/admin/users/<int:user_id>/reset-totp", admin, json={})
    email = f"{uuid.uuid4().hex}@example.org"
    caller.call("POST", f"{API}/admin/users/<int:user_id>/change-email", admin, json={"email": email})


def call_authentication(caller: RouteCaller) -> None:
    """Register, log in, refresh and log out."""
    user = caller.user()
    login = {"email": user.email, "password": PASSWORD}
    caller.call("POST", f"{API}/auth/register", json={**login, "email": f"new{caller.count}@example.org"})
    tokens = caller.call("POST", f"{API}/auth/login", json=login)
    caller.call("POST", f"{API}/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    caller.call("POST", f"{API}/auth/reauthenticate", user, json={"password": PASSWORD})
    caller.call("POST", f"{API}/auth/logout", user, json={"everywhere": True})


def call_passwords(caller: RouteCaller) -> None:
    """Change, and reset, a password."""
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    caller.call("POST", f"{API}/auth/change-password", caller.user(), json=change)
    user = caller.user()
    caller.call("POST", f"{API}/auth/forgot-password", json={"email": user.email})
    with caller.app.app_context():
        reset = create_reset_body(caller.app, caller.session, user)
    caller.call("POST", f"{API}/auth/reset-password", json={**reset, "new_password": NEW_PASSWORD})


def call_emails(caller: RouteCaller) -> None:
    """Confirm, and change, an e-mail."""
    user = caller.user()
    with caller.app.app_context():
        verification = create_verification_body(caller.app, caller.session, user)
        change = create_email_change_body(caller.app, caller.session, user)
    caller.call("POST", f"{API}/auth/resend-verification", json={"email": user.email})
    caller.call("POST", f"{API}/auth/verify-email", json=verification)
    caller.call("POST", f"{API}/auth/confirm-email", json=change)
    body = {"current_password": PASSWORD, "email": f"{uuid.uuid4().hex}@example.org"}
    caller.call("POST", f"{API}/auth/change-email", user, json=body)


def call_second_factor(caller: RouteCaller) -> None:
    """Set up, use and remove a second factor."""
    user, password = caller.user(), {"current_password": PASSWORD}
    caller.call("POST", f"{API}/auth/totp/enroll", user, json=password)
    user = caller.user()
    code = current_code(make_totp(caller.session, user, confirmed=False))
    caller.call("POST", f"{API}/auth/totp/confirm", user, json={"code": code})
    user = caller.user()
    caller.call("GET", f"{API}/auth/totp", user)
    code = current_code(make_totp(caller.session, user))
    caller.call("POST", f"{API}/auth/totp/recovery-codes", user, json={**password, "code": code})
    user = caller.user()
    code = current_code(make_totp(caller.session, user))
    caller.call("POST", f"{API}/auth/totp/disable", user, json={**password, "code": code})
    with caller.app.app_context():
        body = create_second_factor_body(caller.app, caller.session, caller.user())
    caller.call("POST", f"{API}/auth/login/totp", json=body)
