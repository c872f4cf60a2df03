"""The normal form of e-mail addresses: what is stored, compared byte by byte, and sent to.

1. Unicode normalisation form NFC; invisible characters are rejected.
2. The part before the @ in lower case. Not case folding, which makes "strasse" of "straße": another person's mailbox.
3. The domain in its ASCII form (IDNA 2008 with the mapping of UTS 46), which every mail server can reach.

Quoted local parts and address literals (RFC 5321 section 4.1.2) are rejected: they are other spellings of a mailbox.
"""

from __future__ import annotations

import unicodedata

import idna

from app.platform.visible_text import has_invisible

# Octets, RFC 5321 section 4.5.3.1; the limit of a path, less its angle brackets.
MAX_LENGTH = 254
MAX_LOCAL_PART = 64
INVALID = "Not a valid email address."
QUOTED = "Must not have quotation marks before the @."
LITERAL = "Must have a domain name after the @, not an address in brackets."


class InvalidEmail(ValueError):
    """The text is not an e-mail address that the service accepts; the message gives the reason."""


def normalize_email(text: str) -> str:
    """Return the normal form of an address; raises `InvalidEmail`."""
    if len(text) > MAX_LENGTH:
        raise InvalidEmail(f"Longer than maximum length {MAX_LENGTH}.")
    if has_invisible(text):
        raise InvalidEmail("Must not contain invisible characters.")
    local_part, _, domain = unicodedata.normalize("NFC", text).rpartition("@")
    if not local_part or not domain:
        raise InvalidEmail(INVALID)
    if '"' in local_part:
        raise InvalidEmail(QUOTED)
    if domain.startswith("["):
        raise InvalidEmail(LITERAL)
    local_part = _lower(local_part)
    address = f"{local_part}@{_ascii_domain(domain)}"
    if len(local_part.encode()) > MAX_LOCAL_PART or len(address.encode()) > MAX_LENGTH:
        raise InvalidEmail(f"Must have at most {MAX_LOCAL_PART} bytes before the @, and {MAX_LENGTH} in total.")
    return address


def _lower(text: str) -> str:
    """Return the text in lower case, except characters that lower case makes several of, like İ."""
    lower = (character.lower() for character in text)
    return unicodedata.normalize(
        "NFC", "".join(new if len(new) == 1 else old for old, new in zip(text, lower, strict=True))
    )


def _ascii_domain(domain: str) -> str:
    if domain.isascii() and "xn--" not in domain.lower():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        raise InvalidEmail("The domain is not valid.") from None
