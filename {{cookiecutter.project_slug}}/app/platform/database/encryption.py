"""Encrypted columns: text that the database stores but cannot read, with keys that can be rotated without downtime.

A value is stored as `enc:<key id>:<Fernet token>` (https://github.com/fernet/spec: AES-128-CBC with HMAC-SHA256), so
a query can find the values of an earlier key. A value without that prefix is plain text from before the column was
encrypted, and is returned unchanged.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.sql import operators

logger = logging.getLogger(__name__)

KEY_BYTES, ID_BYTES = 32, 4
PURPOSE = b"encrypted columns"
# Every Fernet token starts with its version and the time, so with gAAAAA.
CIPHERTEXT_PATTERN = re.compile(r"enc:([^:]{8}):(gAAAAA.+)", re.DOTALL)
CIPHERTEXT_LIKE = "enc:________:gAAAAA%"  # the same pattern for LIKE


class DecryptionError(Exception):
    """A value cannot be decrypted: it was altered."""


class MissingKey(DecryptionError):
    """A value cannot be decrypted because its key is missing."""


class Keyring:
    """Keys derived from secrets: the first encrypts, all decrypt."""

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = [derive_key(secret, PURPOSE) for secret in secrets]
        self.current = keys[0][0]
        self._keys = {key_id: Fernet(base64.urlsafe_b64encode(key)) for key_id, key in keys}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, the current key first."""
        return tuple(self._keys)

    def encrypt(self, text: str) -> str:
        """Return the ciphertext to store; it differs at each call, even for the same text."""
        token = self._keys[self.current].encrypt(text.encode()).decode()
        return f"enc:{self.current}:{token}"

    def decrypt(self, stored: str) -> str:
        """Return the text of a stored value; raises `DecryptionError` or `MissingKey`."""
        match = CIPHERTEXT_PATTERN.fullmatch(stored)
        if match is None:
            return stored
        kid, token = match.groups()
        if kid not in self._keys:
            raise MissingKey(
                f"The value needs the encryption key {kid}, which this process does not have: add the secret of that "
                "key to LEGACY_ENCRYPTION_KEYS."
            )
        try:
            return self._keys[kid].decrypt(token).decode()
        except (InvalidToken, ValueError):  # the latter: the token or the text has characters that no token has
            raise DecryptionError(f"A value of the encryption key {kid} is corrupt or was tampered with.") from None


def derive_key(secret: str, purpose: bytes) -> tuple[str, bytes]:
    """Derive the id and the key of a secret of any length by HKDF (RFC 5869), for one purpose.

    The id does not reveal the secret. Keys of different purposes are unrelated.
    """
    kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES + ID_BYTES, salt=None, info=purpose)
    derived = kdf.derive(secret.encode())
    return derived[KEY_BYTES:].hex(), derived[:KEY_BYTES]


def set_keyring(engine: sa.Engine, keyring: Keyring) -> None:
    """Make the encrypted columns of an engine use these keys."""
    vars(engine.dialect)["keyring"] = keyring  # the only part of the engine that column types can access


def keyring_of(dialect: sa.Dialect) -> Keyring:
    """Return the keys of a dialect's engine; raises `RuntimeError` if it has none."""
    keyring: Keyring | None = getattr(dialect, "keyring", None)
    if keyring is None:
        raise RuntimeError("This engine has no encryption keys: use the app's engine, or call set_keyring() first.")
    return keyring


class _NotComparable(sa.types.TypeEngine.Comparator[Any]):
    """Rejects comparisons, which would always be false."""

    def operate(self, op: Any, *other: Any, **options: Any) -> Any:
        """Allow IS NULL and IS NOT NULL; raises `TypeError` for other operators."""
        if op in (operators.is_, operators.is_not) or (other and other[0] is None):
            return super().operate(op, *other, **options)
        raise TypeError(f"An encrypted column cannot be compared, sorted or searched in SQL: {self.expr}.")


class EncryptedText(sa.types.TypeDecorator[str]):
    """A text that is encrypted in the database.

    The same text has a different ciphertext each time. So a column of this type cannot be compared, sorted or searched,
    and a unique constraint on it has no effect; find rows by another column.
    """

    impl = sa.Text
    cache_ok = True
    comparator_factory = _NotComparable

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Encrypt."""
        return None if value is None else keyring_of(dialect).encrypt(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Decrypt; a value that cannot be decrypted is logged and reads as None.

        An error would fail every query that loads the row, such as the list of all users.
        """
        try:
            return None if value is None else keyring_of(dialect).decrypt(value)
        except DecryptionError as error:
            logger.error("an encrypted value reads as empty: %s", error)  # noqa: TRY400 - the error's text is enough
            return None


def encrypted_columns(metadata: sa.MetaData) -> list[sa.Column[Any]]:
    """Return every encrypted column of the models; there is no separate list to maintain."""
    columns = [column for table in metadata.sorted_tables for column in table.columns]
    return [column for column in columns if isinstance(column.type, EncryptedText)]
