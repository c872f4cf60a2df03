"""The e-mails that accounts send."""

from __future__ import annotations

from datetime import UTC, datetime


def password_reset_email(service_name: str, page: str, token: str, minutes: int) -> tuple[str, str]:
    """Return the subject and the text of the e-mail with the link to the page that sets a new password.

    The token is in the fragment, which browsers do not send: it appears in no log and in no Referer header.
    """
    text = (
        f"Someone requested a new password for your account at {service_name}.\n\n"
        f"Set a new password within {minutes} minutes:\n\n{page}#token={token}\n\n"
        "If you did not request it, ignore this e-mail: your password has not changed.\n"
    )
    return f"{service_name}: set a new password", text


def notice_email(service_name: str, event: str, time: datetime, address: str | None) -> tuple[str, str]:
    """Return the subject and the text of a notice; `event` is a sentence.

    Nothing in it is a text that a client sent: an attacker must not write to users in the name of the service.
    """
    text = (
        f"{event}\n\n"
        f"Account: yours at {service_name}\n"
        f"Time: {time.astimezone(UTC):%Y-%m-%d %H:%M} UTC\n"
        f"Address: {address or 'unknown'}\n\n"
        "If it was you, ignore this e-mail. If not, set a new password now: request an e-mail for it where you sign in."
        " A new password ends all sessions and revokes all API keys.\n"
    )
    return f"{service_name}: security notice", text
