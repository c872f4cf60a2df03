"""Which passwords are rejected besides those that are too short or too long (NIST SP 800-63B section 5.1.1.2).

Composition rules are none of them: they make passwords predictable.
"""

from __future__ import annotations

import string

from app.accounts.breached_passwords import comparable, is_breached

MIN_LENGTH, MAX_LENGTH = 10, 128  # NIST: at least 8, and at least 64; the maximum bounds the work of hashing

BREACHED = "Is a common password, or known from a breach: choose another one."
SERVICE = "Must not be the name of this service, also with digits or punctuation."
PERSONAL = "Must not be the e-mail address or a part of it, also with digits or punctuation."
UNCHANGED = "Must differ from the current password."


class UnsuitablePassword(ValueError):
    """A new password is rejected; the message gives the reason."""


def general_problem(password: str, service_name: str) -> str | None:
    """Return why no account may have a password, or None."""
    if is_breached(password):
        return BREACHED
    return SERVICE if _resembles(password, service_name) else None


def check_personal(password: str, email: str) -> None:
    """Raise `UnsuitablePassword` if a password is the e-mail address of its user, or a part of it."""
    local_part, _, domain = email.rpartition("@")
    if any(_resembles(password, text) for text in (email, local_part, domain, domain.rpartition(".")[0])):
        raise UnsuitablePassword(PERSONAL)


def _resembles(password: str, text: str) -> bool:
    """Whether a password is a text, or becomes it without case, punctuation and the digits at both ends."""
    return comparable(password) == comparable(text) or ("" != _core(password) == _core(text))


def _core(text: str) -> str:
    return "".join(filter(str.isalnum, comparable(text))).strip(string.digits)
