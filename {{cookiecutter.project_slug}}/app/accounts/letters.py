"""What accounts write to people."""

from __future__ import annotations

from app.settings import Settings


def reset_letter(settings: Settings, token: str, minutes: int) -> tuple[str, str]:
    """Subject and text of the mail that lets somebody choose a new password.

    The token stands behind a #, which browsers keep to themselves: it gets into no log and no Referer header.
    """
    page = settings.PASSWORD_RESET_URL or f"{(settings.PUBLIC_BASE_URL or '').rstrip('/')}/reset-password"
    text = (
        f"Somebody, hopefully you, asked for a new password at {settings.SERVICE_NAME}.\n\n"
        f"Choose one here within {minutes} minutes:\n\n{page}#token={token}\n\n"
        "If it was not you, you need not do anything: your password stays as it is.\n"
    )
    return f"{settings.SERVICE_NAME}: a new password", text
