"""Encrypted columns: text that the database stores but cannot read, with keys that can be rotated without downtime.

A value is stored as `enc2:<key id>:<Fernet token>` (https://github.com/fernet/spec: AES-128-CBC with HMAC-SHA256), so
a query can find the values of an earlier key. The encrypted content begins with the place of the value: its table,
column and row, and the user to whom the row belongs. A value that was copied to another place, whose row was given to
another user, or that was written without the key, is rejected.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
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
CIPHERTEXT_PATTERN = re.compile(r"(enc2?):([^:]{8}):(gAAAAA.+)", re.DOTALL)
BOUND, UNBOUND = "enc2", "enc"  # the latter: encrypted without a place
CIPHERTEXT_LIKE = f"{BOUND}:________:gAAAAA%"  # the same pattern for LIKE
KEY_ID_POSITION = len(BOUND) + 2  # of the key id in a value, counted from 1 as SQL does
SEPARATOR = "\0"  # between the place and the text
OWNER = "user_id"  # the column of the user to whom a row belongs
OWNER_MARK = "@"  # before the user in a place
NOT_BOUND = (
    "A value is not bound to its row: it was written without the key, or before the column was encrypted. If such "
    "values are genuine, set ENCRYPTION_ACCEPT_UNBOUND=true, run flask keys rotate, and remove the setting."
)


class DecryptionError(Exception):
    """A value cannot be decrypted: it was altered, or copied from another row."""


class MissingKey(DecryptionError):
    """A value cannot be decrypted because its key is missing."""


@dataclass(frozen=True)
class BoundText:
    """A decrypted text and the place that it was encrypted for; None if it was encrypted for none."""

    place: str | None
    text: str

    def text_at(self, place: str) -> str:
        """Return the text of the value at a place; raises `DecryptionError` if the value belongs to another.

        Values that were written before places had users are accepted without one.
        """
        if self.place not in (place, place.partition(OWNER_MARK)[0], None):
            raise DecryptionError(f"The value of {place} was copied from {self.place}.")
        return self.text


class UnsavedText(BoundText):
    """The text of a row that has no id yet: stored empty, and bound to the row once it has an id."""


def place_of(table: str, column: str, row_id: object, owner_id: int | None = None) -> str:
    """Return the place of a value, such as `notes.text:7`; `notes.text:7@3` if the row belongs to the user 3."""
    return f"{table}.{column}:{row_id}" + ("" if owner_id is None else f"{OWNER_MARK}{owner_id}")


def owner_of(table: sa.FromClause) -> sa.ColumnElement[Any]:
    """Return the column of the user to whom the rows of a table belong; NULL if there is none."""
    return table.columns[OWNER] if OWNER in table.columns else sa.null()


class Keyring:
    """Keys derived from secrets: the first encrypts, all decrypt.

    `accepts_unbound`: also accept values without a place, and plain text.
    """

    def __init__(self, secrets: Sequence[str], *, accepts_unbound: bool = False) -> None:
        keys = [derive_key(secret, PURPOSE) for secret in secrets]
        self.current = keys[0][0]
        self.accepts_unbound = accepts_unbound
        self._keys = {key_id: Fernet(base64.urlsafe_b64encode(key)) for key_id, key in keys}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, the current key first."""
        return tuple(self._keys)

    def encrypt(self, text: str, place: str) -> str:
        """Return the ciphertext to store at a place; it differs at each call, even for the same text."""
        token = self._keys[self.current].encrypt(f"{place}{SEPARATOR}{text}".encode()).decode()
        return f"{BOUND}:{self.current}:{token}"

    def decrypt(self, stored: str) -> BoundText:
        """Return the text of a stored value with its place; raises `DecryptionError` or `MissingKey`."""
        match = CIPHERTEXT_PATTERN.fullmatch(stored)
        if match and match[1] == BOUND:
            place, _, text = self._decrypt_token(match[2], match[3]).partition(SEPARATOR)
            return BoundText(place, text)
        if not self.accepts_unbound:
            raise DecryptionError(NOT_BOUND)
        return BoundText(None, self._decrypt_token(match[2], match[3]) if match else stored)

    def _decrypt_token(self, kid: str, token: str) -> str:
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


class EncryptedText(sa.types.TypeDecorator[BoundText]):
    """A text that is encrypted in the database; `EncryptedAttribute` gives models access to it.

    The same text has a different ciphertext each time. So a column of this type cannot be compared, sorted or searched,
    and a unique constraint on it has no effect; find rows by another column.
    """

    impl = sa.Text
    cache_ok = True
    comparator_factory = _NotComparable

    def process_bind_param(self, value: BoundText | None, dialect: sa.Dialect) -> str | None:
        """Encrypt; raises `TypeError` for a text without a place."""
        if value is None or isinstance(value, UnsavedText):
            return None if value is None else ""
        if not isinstance(value, BoundText) or value.place is None:
            raise TypeError("An encrypted column needs a BoundText with a place: set its EncryptedAttribute instead.")
        return keyring_of(dialect).encrypt(value.text, value.place)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> BoundText | None:
        """Decrypt; a value that cannot be decrypted is logged and reads as None.

        An error would fail every query that loads the row, such as the list of all users.
        """
        try:
            return None if value is None else keyring_of(dialect).decrypt(value)
        except DecryptionError as error:
            log_unreadable(error)
            return None


def log_unreadable(error: DecryptionError) -> None:
    """Log that a value reads as empty, and why."""
    logger.error("an encrypted value reads as empty: %s", error)


def encrypted_columns(metadata: sa.MetaData) -> list[sa.Column[Any]]:
    """Return every encrypted column of the models; there is no separate list to maintain."""
    columns = [column for table in metadata.sorted_tables for column in table.columns]
    return [column for column in columns if isinstance(column.type, EncryptedText)]
