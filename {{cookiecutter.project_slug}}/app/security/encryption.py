"""Encrypted columns: text that the database keeps and cannot read, under keys that are replaced while it is in use.

A value is stored as `enc:<key id>:<Fernet token>` (https://github.com/fernet/spec: AES-128-CBC with HMAC-SHA256), so
that a query can find what is under an earlier key. A value without that beginning is from before its column was
encrypted, and is read as it stands.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.sql import operators

KEY_BYTES, ID_BYTES = 32, 4
SEALED = re.compile(r"enc:([^:]{8}):(gAAAAA.+)", re.DOTALL)  # every Fernet token begins with its version and the time
SEALED_IN_SQL = "enc:________:gAAAAA%"  # the same for LIKE


class Unreadable(Exception):
    """A value cannot be decrypted: it is under a key that is not there, or is not what was stored."""


class Keyring:
    """The keys that are made from secrets: the first encrypts, all of them are read."""

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = [_derive(secret) for secret in secrets]
        self.current = keys[0][0]
        self._keys = dict(keys)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every key's id, the current one's first."""
        return tuple(self._keys)

    def encrypt(self, text: str) -> str:
        """The text as it is stored; different each time, also for the same text."""
        token = self._keys[self.current].encrypt(text.encode()).decode()
        return f"enc:{self.current}:{token}"

    def decrypt(self, stored: str) -> str:
        """The text of a stored value; raises `Unreadable`."""
        found = SEALED.fullmatch(stored)
        if found is None:
            return stored
        kid, token = found.groups()
        if kid not in self._keys:
            raise Unreadable(
                f"The value is under the encryption key {kid}, which this process does not have: put the secret that "
                "it was made from into LEGACY_ENCRYPTION_KEYS."
            )
        try:
            return self._keys[kid].decrypt(token).decode()
        except InvalidToken:
            raise Unreadable(f"The value under the encryption key {kid} is damaged or was tampered with.") from None


def _derive(secret: str) -> tuple[str, Fernet]:
    """The id and the key of a secret, by HKDF (RFC 5869): secrets are text of any length, and the id tells nothing."""
    kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES + ID_BYTES, salt=None, info=b"encrypted columns")
    derived = kdf.derive(secret.encode())
    return derived[KEY_BYTES:].hex(), Fernet(base64.urlsafe_b64encode(derived[:KEY_BYTES]))


def attach(engine: sa.Engine, keyring: Keyring) -> None:
    """Have everything that goes through the engine encrypted and read with these keys."""
    engine.dialect.keyring = keyring  # type: ignore[attr-defined] # the one thing of the engine that column types see


def keyring_of(dialect: sa.Dialect) -> Keyring:
    """The keys that were attached to the dialect's engine; raises RuntimeError if none were."""
    keyring: Keyring | None = getattr(dialect, "keyring", None)
    if keyring is None:
        raise RuntimeError("This engine has no encryption keys: use the app's own, or attach() a keyring to it.")
    return keyring


class _Incomparable(sa.types.TypeEngine.Comparator[Any]):
    """Refuses what would always come out false."""

    def operate(self, op: Any, *other: Any, **options: Any) -> Any:
        """Let through nothing but IS NULL and its opposite."""
        if op in (operators.is_, operators.is_not) or other[:1] == (None,):
            return super().operate(op, *other, **options)
        raise TypeError(f"An encrypted column cannot be compared, sorted or searched in SQL: {self.expr}.")


class EncryptedText(sa.types.TypeDecorator[str]):
    """A text that is encrypted in the database.

    The same text is stored differently each time, so that a column of this type can be compared with nothing, neither
    sorted nor searched, and be unique in no useful way; find its rows by another column.
    """

    impl = sa.Text
    cache_ok = True
    comparator_factory = _Incomparable

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Encrypt."""
        return None if value is None else keyring_of(dialect).encrypt(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Decrypt; raises `Unreadable`."""
        return None if value is None else keyring_of(dialect).decrypt(value)


def encrypted_columns(metadata: sa.MetaData) -> list[sa.Column[Any]]:
    """Every encrypted column of the models, so that there is no list of them to forget one in."""
    columns = [column for table in metadata.sorted_tables for column in table.columns]
    return [column for column in columns if isinstance(column.type, EncryptedText)]
