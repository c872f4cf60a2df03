"""Accounts: registration, login and logout, passwords, the user's own profile, user administration."""

from __future__ import annotations

from flask import Flask

from app.accounts import (
    administration,
    notices,
    personal_data,
    profile_views,
    recovery_views,
    service,
    session_views,
    suspension_views,
    totp_views,
    user_sessions,
    verification_views,
    views,
)
from app.accounts.commands import create_first_admin
from app.accounts.email_tasks import HOUR_SECONDS
from app.accounts.problem_types import PROBLEM_TYPES
from app.accounts.records import RECORDS
from app.accounts.settings import AccountsSettings
from app.accounts.tasks import DAY_SECONDS, REVOCATION_REPEAT_SECONDS
from app.platform.database.base import db
from app.platform.feature import Feature
from app.platform.personal_data import PersonalDataSource
from app.platform.security import notices as platform_notices
from app.platform.security import sessions, step_up

STEP_UP = "Send your password to POST /api/v1/auth/reauthenticate, and repeat this request with the new access token."


def _init_app(app: Flask) -> None:
    step_up.register_instruction(app, STEP_UP)
    platform_notices.register_notices(app, notices.send)
    sessions.register_session_lookup(app, lambda session_id: service.is_session_active(db.session(), session_id))


FEATURE = Feature(
    name="accounts",
    blueprints=(
        views.blueprint,
        verification_views.blueprint,
        totp_views.blueprint,
        profile_views.blueprint,
        session_views.blueprint,
        recovery_views.blueprint,
        suspension_views.blueprint,
    ),
    settings=AccountsSettings,
    scopes=("profile:read",),
    schedules={
        "accounts.repeat_revocations": REVOCATION_REPEAT_SECONDS,
        "accounts.delete_old_sessions": DAY_SECONDS,
        "accounts.delete_unconfirmed": HOUR_SECONDS,
    },
    personal_data=PersonalDataSource(personal_data.TABLES, personal_data.export, user_sessions.erase_sessions),
    records=RECORDS,
    export_name="account",
    personal_fields=("display_name", "otpauth_uri", "recovery_code", "recovery_codes"),
    statistics=administration.statistics,
    seeds=(create_first_admin,),
    problem_types=PROBLEM_TYPES,
    init_app=_init_app,
)
