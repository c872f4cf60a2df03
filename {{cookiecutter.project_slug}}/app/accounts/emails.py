"""The e-mails that accounts send."""

from __future__ import annotations


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
