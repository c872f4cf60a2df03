"""Accounts: registration, login and logout, passwords, the user's own profile, user administration."""

from __future__ import annotations

from flask import Flask

from app.accounts import admin_views, administration, profile_views, service, user_sessions, views
from app.accounts.commands import create_first_admin
from app.accounts.problem_types import PROBLEM_TYPES
from app.accounts.settings import AccountsSettings
from app.accounts.tasks import DAY_SECONDS, REVOCATION_REPEAT_SECONDS
from app.platform.database.base import db
from app.platform.feature import Feature
from app.platform.personal_data import PersonalDataSource
from app.platform.security import sessions


def _register_session_lookup(app: Flask) -> None:
    sessions.register_session_lookup(app, lambda session_id: service.is_session_active(db.session(), session_id))


FEATURE = Feature(
    name="accounts",
    blueprints=(views.blueprint, profile_views.blueprint, admin_views.blueprint),
    settings=AccountsSettings,
    scopes=("profile:read",),
    schedules={"accounts.repeat_revocations": REVOCATION_REPEAT_SECONDS, "accounts.delete_old_sessions": DAY_SECONDS},
    personal_data=PersonalDataSource(("users", "user_sessions"), service.export, user_sessions.erase_sessions),
    export_name="account",
    personal_fields=("display_name",),
    statistics=administration.statistics,
    seeds=(create_first_admin,),
    problem_types=PROBLEM_TYPES,
    init_app=_register_session_lookup,
)
