"""Signatures of tombstones in the storage: nobody who can only write to the storage can have a user erased."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES, ID_BYTES = 32, 4
HEXADECIMAL = re.compile("[0-9a-f]+")


class InvalidSignature(Exception):
    """A tombstone has no signature of this service, or was changed; the message gives the reason."""


class Signer:
    """HMAC-SHA256 with keys derived from secrets: the first signs, all are accepted."""

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = [_derive(secret) for secret in secrets]
        self.current = keys[0][0]
        self._keys = dict(keys)

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


def _derive(secret: str) -> tuple[str, bytes]:
    """Derive the id and the key of a secret by HKDF (RFC 5869), for this purpose alone."""
    kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES + ID_BYTES, salt=None, info=b"tombstones")
    derived = kdf.derive(secret.encode())
    return derived[KEY_BYTES:].hex(), derived[:KEY_BYTES]
