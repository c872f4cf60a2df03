"""Notices to users about what happened to their accounts, such as a new credential; a feature sends them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app

from app.platform.components import platform_of

# Arguments: the user, and a sentence that says what happened.
SendNotice = Callable[[int, str], None]


def _discard(_user_id: int, _event: str) -> None:
    """Send nothing."""


@dataclass(frozen=True)
class Notices:
    """How an app sends notices."""

    send: SendNotice = _discard


def register_notices(app: Flask, send: SendNotice) -> None:
    """Register how notices are sent."""
    platform_of(app).add(Notices(send))


def notify(user_id: int, event: str) -> None:
    """Send a user a notice of this request; `event` is a sentence without secrets. It never fails the request."""
    platform_of(current_app).get_or_create(Notices).send(user_id, event)
