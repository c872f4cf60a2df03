"""Signatures of tombstones in the storage: write access to the storage alone cannot erase a user."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.platform.database.encryption import ID_BYTES, derive_key

PURPOSE = b"tombstones"
HEXADECIMAL = re.compile("[0-9a-f]+")


class InvalidSignature(Exception):
    """A tombstone has no signature of this service, or was changed; the message gives the reason."""


class Signer:
    """HMAC-SHA256 with keys derived from secrets: the first signs, all are accepted."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = dict(derive_key(secret, PURPOSE) for secret in secrets)
        self.current = next(iter(self._keys))

    def sign(self, content: Mapping[str, Any]) -> bytes:
        """Return the JSON text of the content, which has JSON types only, with the signature."""
        signature = _digest(self._keys[self.current], content)
        return json.dumps({**content, "key_id": self.current, "hmac": signature}).encode()

    def verify(self, signed: bytes) -> tuple[dict[str, Any], str]:
        """Return the content of a signed JSON text, and the id of the key; raises `InvalidSignature`."""
        try:
            content: dict[str, Any] = json.loads(signed)
            key_id, signature = content.pop("key_id"), content.pop("hmac")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise InvalidSignature("it has no signature") from None
        if not (_is_hexadecimal(key_id, 2 * ID_BYTES) and _is_hexadecimal(signature, 64)):
            raise InvalidSignature("it has no signature")
        if key_id not in self._keys:
            raise InvalidSignature(f"its key {key_id} is not in MASTER_ENCRYPTION_KEY or LEGACY_ENCRYPTION_KEYS")
        if not hmac.compare_digest(signature, _digest(self._keys[key_id], content)):
            raise InvalidSignature("its signature is wrong")
        return content, key_id


def _is_hexadecimal(value: object, length: int) -> bool:
    return isinstance(value, str) and len(value) == length and HEXADECIMAL.fullmatch(value) is not None


def _digest(key: bytes, content: Mapping[str, Any]) -> str:
    return hmac.digest(key, json.dumps(content, sort_keys=True).encode(), "sha256").hex()
