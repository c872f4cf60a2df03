"""Who has the rights of an admin, and what happens when a route of admins rejects another user."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, current_app

from app.platform.components import platform_of
from app.platform.settings.declarations import settings_of
from app.platform.web.caller import Caller

RecordRefusal = Callable[[Caller], None]


class AdminRefusals(list[RecordRefusal]):
    """What one app calls before a route of admins rejects another user."""


def register_admin_refusal(app: Flask, record: RecordRefusal) -> None:
    """Call `record` with the caller before a route of admins rejects another user."""
    platform_of(app).get_or_create(AdminRefusals).append(record)


def has_admin_rights(caller: Caller) -> bool:
    """Whether a caller is a logged-in admin, with a second factor if `ADMIN_TOTP_REQUIRED` is on."""
    has_factor = caller.mfa or not settings_of(current_app).ADMIN_TOTP_REQUIRED
    return caller.role == "admin" and caller.session_id is not None and has_factor
