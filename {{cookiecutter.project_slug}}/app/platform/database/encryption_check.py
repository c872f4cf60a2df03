"""Checks that the newest encrypted values can be decrypted: a wrong key shows before anything is written with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.platform.database.base import db
from app.platform.database.encryption import DecryptionError, MissingKey, encrypted_columns, keyring_of

SAMPLE = 20  # values of each column
NEWEST_ROWS = 1000  # of each table, among which values are sampled


@dataclass(frozen=True)
class Sample:
    """The newest values of an encrypted column: how many there are, and why some of them cannot be decrypted."""

    column: str
    size: int
    errors: tuple[DecryptionError, ...]

    @property
    def has_wrong_key(self) -> bool:
        """Whether the key of every value is missing."""
        return bool(self.size) and [type(error) for error in self.errors] == [MissingKey] * self.size

    def __str__(self) -> str:
        reasons = " ".join(dict.fromkeys(map(str, self.errors)))
        return f"{len(self.errors)} of the newest {self.size} values of {self.column} cannot be decrypted. {reasons}"


def unreadable_samples() -> Iterator[Sample]:
    """Yield a sample of each encrypted column that has values that cannot be decrypted; needs an app context."""
    with db.engine.connect() as connection:
        for column in encrypted_columns(db.metadata):
            sample = _sample(connection, column)
            if sample.errors:
                yield sample


def _sample(connection: sa.Connection, column: sa.Column[Any]) -> Sample:
    (key,) = column.table.primary_key.columns
    stored = sa.type_coerce(column, sa.Text).label("stored")  # the ciphertext
    newest = sa.select(stored).order_by(key.desc()).limit(NEWEST_ROWS).subquery()
    values = connection.scalars(sa.select(newest.c.stored).where(newest.c.stored.is_not(None)).limit(SAMPLE)).all()
    keyring, errors = keyring_of(connection.dialect), []
    for value in values:
        try:
            keyring.decrypt(value)
        except DecryptionError as error:
            errors.append(error)
    return Sample(str(column), len(values), tuple(errors))
