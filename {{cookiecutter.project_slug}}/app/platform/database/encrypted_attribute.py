"""Attributes of models whose text is encrypted in the database and bound to its row."""

from __future__ import annotations

from typing import Any, overload

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm.attributes import flag_modified, set_committed_value

from app.platform.database.encryption import (
    OWNER,
    BoundText,
    DecryptionError,
    EncryptedText,
    UnsavedText,
    log_unreadable,
    place_of,
)


class EncryptedAttribute:
    """The text of an encrypted column, which a second attribute maps.

        _note: Mapped[BoundText | None] = mapped_column("note", EncryptedText)
        note = EncryptedAttribute("_note")

    A new row gets its text by an UPDATE after its INSERT, because the text is bound to the id. In a table with
    `user_id` it is bound to the user too: a row that changes its user needs its text set again. A text that cannot be
    decrypted, or that was copied from another row, is logged and reads as None.
    """

    def __init__(self, stored: str) -> None:
        self._stored = stored

    def __set_name__(self, owner: type, name: str) -> None:
        """Write the texts of new rows of this model."""
        sa.event.listen(owner, "after_insert", self._bind_to_new_row)

    @overload
    def __get__(self, row: None, owner: type) -> Any: ...

    @overload
    def __get__(self, row: object, owner: type) -> str | None: ...

    def __get__(self, row: Any, owner: type) -> Any:
        """Return the text; for the model itself the mapped attribute, which queries compare with NULL."""
        if row is None:
            return getattr(owner, self._stored)
        value: BoundText | None = getattr(row, self._stored)
        if isinstance(value, UnsavedText):
            return value.text
        return text_or_none(value, self._place(row))

    def __set__(self, row: Any, text: str | None) -> None:
        """Replace the text, also one that cannot be decrypted and reads as None already."""
        is_saved = sa.inspect(row).identity is not None
        value = BoundText(self._place(row), text or "") if is_saved else UnsavedText(None, text or "")
        setattr(row, self._stored, None if text is None else value)
        flag_modified(row, self._stored)

    def _column(self, row: Any) -> sa.Column[Any]:
        column: sa.Column[Any] = sa.inspect(type(row)).columns[self._stored]
        return column

    def _place(self, row: Any) -> str:
        column = self._column(row)
        owner_id = getattr(row, OWNER) if OWNER in column.table.columns else None
        return place_of(column.table.name, column.name, self._id(row), owner_id)

    @staticmethod
    def _id(row: Any) -> Any:
        (attribute,) = sa.inspect(type(row)).primary_key
        return getattr(row, str(attribute.key))

    def _bind_to_new_row(self, mapper: orm.Mapper[Any], connection: sa.Connection, row: Any) -> None:
        value = getattr(row, self._stored)
        if not isinstance(value, UnsavedText):
            return
        column, (key,) = self._column(row), mapper.primary_key
        # Without the defaults that an update of the model's own table would set.
        table = sa.table(column.table.name, sa.column(key.name, key.type), sa.column(column.name, EncryptedText))
        bound = BoundText(self._place(row), value.text)
        is_row = table.c[key.name] == self._id(row)
        connection.execute(sa.update(table).where(is_row).values({column.name: bound}))
        set_committed_value(row, self._stored, bound)


def text_or_none(value: BoundText | None, place: str) -> str | None:
    """Return the text of a value at a place; None, logged, if it belongs to another place."""
    try:
        return None if value is None else value.text_at(place)
    except DecryptionError as error:
        log_unreadable(error)
        return None
