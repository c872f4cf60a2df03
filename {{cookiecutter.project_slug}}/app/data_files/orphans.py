"""Objects in the storage without a row: interrupted uploads and deletions leave them.

They are moved to a quarantine, and deleted after `QUARANTINE_DAYS`. If the row of a quarantined object appears again,
because a backup of the database was restored, the object is moved back.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy.orm import Session

from app.data_files.service import BATCH, FOLDER, keys_without_row
from app.platform.database.base import utc_now
from app.platform.storage import Storage

logger = logging.getLogger(__name__)

QUARANTINE = "quarantine/"  # followed by the day and the key of the object
DAY_FORMAT, DAY = "%Y%m%d", re.compile("2[0-9]{7}")
MIN_AGE = timedelta(days=1)  # a younger object may belong to an upload in progress
ALWAYS_ALLOWED = 10  # orphans that are no sign of a wrong database, however few objects there are
LIMIT = 10_000  # orphans that one run quarantines


class TooManyOrphans(Exception):
    """So many objects have no row that the database may be the wrong one; the message gives the numbers."""


@dataclass(frozen=True)
class Result:
    """What one run did to objects: how many it quarantined, moved back to their rows, and deleted."""

    quarantined: int
    moved_back: int
    deleted: int

    def __str__(self) -> str:
        return f"{self.quarantined} quarantined, {self.moved_back} moved back, {self.deleted} deleted"


def clean(session: Session, storage: Storage, *, days: int, max_share: float) -> Result:
    """Quarantine orphans, move back objects whose rows appeared again, delete what was quarantined `days` ago.

    Also deletes unfinished writes. Raises `TooManyOrphans`, before it quarantines anything, if more than `max_share` of
    the objects are orphans. The caller has checked that the storage belongs to the database.
    """
    deleted = storage.delete_unfinished(MIN_AGE)
    moved_back, expired, waiting = _clean_quarantine(session, storage, utc_now() - timedelta(days=days + 1))
    orphans = _find_orphans(session, storage, waiting, max_share)
    today = f"{utc_now():{DAY_FORMAT}}"
    quarantined = sum(storage.move(key, f"{QUARANTINE}{today}/{key}") for key in orphans)
    result = Result(quarantined, moved_back, deleted + expired)
    if result != Result(0, 0, 0):
        logger.warning("stored files without a row: %s", result)
    return result


def _find_orphans(session: Session, storage: Storage, waiting: int, max_share: float) -> list[str]:
    """Return the keys of up to `LIMIT` old objects without a row.

    Raises `TooManyOrphans`; the objects that wait in the quarantine count too.
    """
    modified_before = utc_now() - MIN_AGE
    orphans: list[str] = []
    total = count = waiting
    objects = storage.list_objects(FOLDER)
    while batch := list(islice(objects, BATCH)):
        total += len(batch)
        old = [stored.key for stored in batch if stored.modified < modified_before]
        found = keys_without_row(session, old)
        count += len(found)
        orphans += found[: LIMIT - len(orphans)]
    if count > waiting and count > max(ALWAYS_ALLOWED, total * max_share):
        raise TooManyOrphans(
            f"{count} of {total} stored files have no row in the database, so none is quarantined. Is it the right "
            "database, and up to date? If so, run: flask orphans clean --all"
        )
    return orphans


def _clean_quarantine(session: Session, storage: Storage, before: datetime) -> tuple[int, int, int]:
    """Move back the objects whose rows appeared again, and delete those of days that began before a time.

    Returns how many were moved back, were deleted, and stay.
    """
    moved_back = deleted = waiting = 0
    objects = _quarantined(storage)
    while batch := list(islice(objects, BATCH)):
        orphans = set(keys_without_row(session, [key for key, _ in batch]))
        for key, day in batch:
            quarantined = f"{QUARANTINE}{day:{DAY_FORMAT}}/{key}"
            if key not in orphans and not storage.exists(key):
                moved_back += storage.move(quarantined, key)
            elif key not in orphans or day < before:
                storage.delete(quarantined)
                deleted += 1
            else:
                waiting += 1
    return moved_back, deleted, waiting


def _quarantined(storage: Storage) -> Iterator[tuple[str, datetime]]:
    """Yield the original key of each quarantined object, and the day of its quarantine; skip other objects."""
    for quarantined in storage.list_keys(QUARANTINE):
        day, _, key = quarantined.removeprefix(QUARANTINE).partition("/")
        if key and DAY.fullmatch(day):
            with suppress(ValueError):
                yield key, datetime.strptime(day, DAY_FORMAT).replace(tzinfo=UTC)
