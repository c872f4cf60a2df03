"""Signatures by HMAC: write access to the database or the storage alone cannot forge what the service signed."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.platform.database.encryption import ID_BYTES, derive_key

HEXADECIMAL = re.compile("[0-9a-f]+")


class InvalidSignature(Exception):
    """Something has no signature of this service, or was changed; the message gives the reason."""


class UnknownKey(InvalidSignature):
    """The key of a signature is not configured."""


class Signer:
    """HMAC-SHA256 with keys derived from secrets for one purpose: the first signs, all are accepted."""

    purpose: bytes  # of a subclass: keys of different purposes are unrelated

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = dict(derive_key(secret, self.purpose) for secret in secrets)
        self.current = next(iter(self._keys))

    def sign(self, content: Mapping[str, Any]) -> bytes:
        """Return the JSON text of the content, which has JSON types only, with the signature."""
        return json.dumps({**content, "key_id": self.current, "hmac": self.signature(content)}).encode()

    def signature(self, content: Mapping[str, Any]) -> str:
        """Return the signature of the content by the current key, 64 hexadecimal digits."""
        return _digest(self._keys[self.current], content)

    def verify(self, signed: bytes) -> tuple[dict[str, Any], str]:
        """Return the content of a signed JSON text, and the id of the key; raises `InvalidSignature`."""
        try:
            content: dict[str, Any] = json.loads(signed)
            key_id, signature = content.pop("key_id"), content.pop("hmac")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise InvalidSignature("it has no signature") from None
        if not (_is_hexadecimal(key_id, 2 * ID_BYTES) and _is_hexadecimal(signature, 64)):
            raise InvalidSignature("it has no signature")
        self.check(content, key_id, signature)
        return content, key_id

    def check(self, content: Mapping[str, Any], key_id: str, signature: str) -> None:
        """Raise `InvalidSignature` unless the signature is that of the content by this key, `UnknownKey` without it."""
        if key_id not in self._keys:
            raise UnknownKey(f"its key {key_id} is not in MASTER_ENCRYPTION_KEY or LEGACY_ENCRYPTION_KEYS")
        if not hmac.compare_digest(signature.encode(), _digest(self._keys[key_id], content).encode()):
            raise InvalidSignature("its signature is wrong")


def _is_hexadecimal(value: object, length: int) -> bool:
    return isinstance(value, str) and len(value) == length and HEXADECIMAL.fullmatch(value) is not None


def _digest(key: bytes, content: Mapping[str, Any]) -> str:
    return hmac.digest(key, json.dumps(content, sort_keys=True).encode(), "sha256").hex()
