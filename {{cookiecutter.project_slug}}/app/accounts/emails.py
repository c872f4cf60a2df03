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


def verification_email(service_name: str, page: str, token: str, hours: int) -> tuple[str, str]:
    """Return the subject and the text of the e-mail with the link that confirms the address of a new account."""
    text = (
        f"Someone created an account at {service_name} with this e-mail address.\n\n"
        f"If it was you, confirm the address within {hours} hours:\n\n{page}#token={token}\n\n"
        "If it was not you, ignore this e-mail: the account will be deleted.\n"
    )
    return f"{service_name}: confirm your e-mail address", text


def password_needed_email(service_name: str, page: str, token: str, hours: int) -> tuple[str, str]:
    """Return the subject and the text of the e-mail to an address that was registered with different passwords."""
    text = (
        f"Someone created an account at {service_name} with this e-mail address, and someone registered the address "
        "again with another password. None of these passwords is valid.\n\n"
        f"If you want the account, set a password within {hours} hours, which also confirms the address:\n\n"
        f"{page}#token={token}\n\n"
        "If not, ignore this e-mail: the account will be deleted.\n"
    )
    return f"{service_name}: set a password for your account", text


def account_exists_email(service_name: str, page: str) -> tuple[str, str]:
    """Return the subject and the text of the e-mail to the owner of an account whose address was registered again."""
    text = (
        f"Someone tried to create an account at {service_name} with this e-mail address, but you have one already. "
        "Your account has not changed.\n\n"
        f"If it was you and you do not know your password, request a new one:\n\n{page}\n\n"
        "If it was not you, ignore this e-mail.\n"
    )
    return f"{service_name}: you have an account already", text


def old_address_email(service_name: str, page: str, token: str, hours: int) -> tuple[str, str]:
    """Return the subject and the text of the e-mail to the current address before a change of the address."""
    text = (
        f"Someone with your password asked to change the e-mail address of your account at {service_name}.\n\n"
        f"If it was you, confirm the change within {hours} hours, here and at the new address:\n\n"
        f"{page}#token={token}\n\n"
        "If it was not you, do not confirm it, and change your password: someone else knows it.\n"
    )
    return f"{service_name}: confirm the change of your e-mail address", text


def new_address_email(service_name: str, page: str, token: str, hours: int) -> tuple[str, str]:
    """Return the subject and the text of the e-mail to the new address before a change of the address."""
    text = (
        f"Someone asked to use this e-mail address for an account at {service_name}.\n\n"
        f"If it was you, confirm it within {hours} hours:\n\n{page}#token={token}\n\n"
        "If it was not you, ignore this e-mail.\n"
    )
    return f"{service_name}: confirm your new e-mail address", text


def notice_email(service_name: str, event: str, time: datetime, address: str | None) -> tuple[str, str]:
    """Return the subject and the text of a notice; `event` is a sentence.

    Nothing in it is a text that a client sent: an attacker must not write to users in the name of the service.
    """
    text = (
        f"{event}\n\n"
        f"{_circumstances(service_name, time, address)}"
        "If it was you, ignore this e-mail. If not, set a new password now: request an e-mail for it where you sign in."
        " A new password ends all sessions and revokes all API keys.\n"
    )
    return f"{service_name}: security notice", text


def email_changed_email(service_name: str, time: datetime, address: str | None) -> tuple[str, str]:
    """Return the subject and the text of the notice to the old address after a change of the address."""
    text = (
        "The e-mail address of your account was changed. This is the last e-mail to this address.\n\n"
        f"{_circumstances(service_name, time, address)}"
        "If it was you, ignore this e-mail. If not, contact the operators of this service.\n"
    )
    return f"{service_name}: security notice", text


def _circumstances(service_name: str, time: datetime, address: str | None) -> str:
    return (
        f"Account: yours at {service_name}\n"
        f"Time: {time.astimezone(UTC):%Y-%m-%d %H:%M} UTC\n"
        f"Address: {address or 'unknown'}\n\n"
    )
