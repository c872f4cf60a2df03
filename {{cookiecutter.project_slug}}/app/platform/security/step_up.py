"""Step-up authentication (RFC 9470): a sensitive route needs a login whose user proved the password recently."""

from __future__ import annotations

import time
from dataclasses import dataclass

from flask import Flask, current_app

from app.platform.components import platform_of
from app.platform.settings.declarations import settings_of
from app.platform.web.caller import Caller
from app.platform.web.problem_types import RECENT_LOGIN_REQUIRED
from app.platform.web.problems import Problem


@dataclass(frozen=True)
class StepUp:
    """How a caller proves the password again: a sentence in ASCII, without quotation marks."""

    instruction: str = "Sign in again."


def register_instruction(app: Flask, instruction: str) -> None:
    """Register how a caller proves the password again."""
    platform_of(app).add(StepUp(instruction))


def is_recent(authenticated_at: int) -> bool:
    """Whether an authentication at this time (Unix seconds) is at most `STEP_UP_SECONDS` old."""
    return time.time() - authenticated_at <= settings_of(current_app).STEP_UP_SECONDS


def require_recent(caller: Caller) -> None:
    """Raise a 401 problem (RFC 9470 section 3) if the caller's last authentication is not recent."""
    if is_recent(caller.authenticated_at):
        return
    seconds = settings_of(current_app).STEP_UP_SECONDS
    how = platform_of(current_app).get_or_create(StepUp).instruction
    challenge = f'Bearer error="insufficient_user_authentication", error_description="{how}", max_age="{seconds}"'
    message = f"This needs a proof of the password in the last {seconds} s. {how}"
    raise Problem(RECENT_LOGIN_REQUIRED, message, headers={"WWW-Authenticate": challenge})
