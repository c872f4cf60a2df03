"""What happens when a route of admins rejects another user."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from app.platform.components import platform_of
from app.platform.web.caller import Caller

RecordRefusal = Callable[[Caller], None]


class AdminRefusals(list[RecordRefusal]):
    """What one app calls before a route of admins rejects another user."""


def register_admin_refusal(app: Flask, record: RecordRefusal) -> None:
    """Call `record` with the caller before a route of admins rejects another user."""
    platform_of(app).get_or_create(AdminRefusals).append(record)
