"""Checks that the newest encrypted values can be decrypted: a wrong key shows before anything is written with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.platform.database.base import db
from app.platform.database.encryption import (
    BOUND,
    DecryptionError,
    Keyring,
    MissingKey,
    encrypted_columns,
    keyring_of,
    owner_of,
    place_of,
)

SAMPLE = 20  # values of each column
MIN_SAMPLE = 3  # fewer values can be damaged by chance
NEWEST_ROWS = 1000  # of each table, among which values are sampled


@dataclass(frozen=True)
class Sample:
    """The newest values of an encrypted column: how many there are, and why some of them cannot be decrypted.

    `has_wrong_key`: the key of every one is missing, and no value of the column is under a key of the process.
    """

    column: str
    size: int
    errors: tuple[DecryptionError, ...]
    has_wrong_key: bool = False

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
    columns = (key.label("row_id"), owner_of(column.table).label("owner_id"), stored)
    newest = sa.select(*columns).order_by(key.desc()).limit(NEWEST_ROWS).subquery()
    values = connection.execute(sa.select(newest).where(newest.c.stored.is_not(None)).limit(SAMPLE)).all()
    keyring, errors = keyring_of(connection.dialect), []
    for row_id, owner_id, value in values:
        try:
            keyring.decrypt(value).text_at(place_of(column.table.name, column.name, row_id, owner_id))
        except DecryptionError as error:
            errors.append(error)
    are_missing = len(values) >= MIN_SAMPLE and [type(error) for error in errors] == [MissingKey] * len(values)
    has_wrong_key = are_missing and not _has_value_of(keyring, connection, column)
    return Sample(str(column), len(values), tuple(errors), has_wrong_key)


def _has_value_of(keyring: Keyring, connection: sa.Connection, column: sa.Column[Any]) -> bool:
    """Whether any value of a column is under a key of the keyring."""
    stored = sa.type_coerce(column, sa.Text)
    own = sa.or_(*(stored.like(f"{BOUND}:{key_id}:%") for key_id in keyring.ids))
    return connection.scalar(sa.select(sa.literal(1)).select_from(column.table).where(own).limit(1)) is not None
