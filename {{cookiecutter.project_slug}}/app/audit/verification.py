"""Verifies the audit log against its seals, in portions: memory does not grow with the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.audit.models import AuditLog, AuditSeal
from app.audit.seals import (
    BATCH,
    FUTURE,
    HEARTBEAT,
    MAX_GAP,
    MAX_ID,
    UNKNOWN_KEY,
    Link,
    SealSigner,
    entry_hash,
    entry_query,
    link_of,
    listed_entries,
    seal_query,
    sealable,
    signed_content,
)
from app.platform.database.base import utc_now
from app.platform.security.signatures import InvalidSignature, UnknownKey

SEALS_PAGE = 20
SHOWN_IDS = 10
BACKDATED = timedelta(minutes=10)  # ids and times grow together; clocks of replicas differ by less than this
OVERDUE = timedelta(minutes=30)  # after the time at which a seal should exist


class OutOfTime(Exception):
    """The verification has reached its deadline."""


@dataclass
class Ids:
    """How many entries have a problem, and the first ids of them."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, entry_id: int) -> None:
        """Count an entry."""
        self.count += 1
        if len(self.first) < SHOWN_IDS:
            self.first.append(entry_id)

    def __str__(self) -> str:
        ids = ", ".join(map(str, self.first))
        more = self.count - len(self.first)
        return f"{'entry' if self.count == 1 else 'entries'} {ids}" + (f" and {more} more" if more else "")


@dataclass
class Verification:
    """One run: `problems` yields them, and the counts are complete after that; `deadline` is in monotonic seconds."""

    session: Session
    signer: SealSigner
    delay: timedelta
    deadline: float = float("inf")
    seals: int = 0
    entries: int = 0
    unsealed: int = 0
    unknown_key: str = ""  # why the signatures of the newest seals cannot be checked
    _end: Link = field(default_factory=Link)
    _newest_time: datetime | None = None  # of the entries so far

    def problems(self) -> Iterator[str]:
        """Yield every problem in words."""
        for row in self._pages(seal_query(), AuditSeal.id, SEALS_PAGE):
            if row.id < 1:
                yield f"Seal {row.id} of {row.created_at} was forged: the service makes no seal with this id."
                continue
            yield from self._seal_problems(row)
            yield from self._entry_problems(row)
            self._end, self.seals = link_of(row), self.seals + 1
        if self.unknown_key:
            yield f"No signature confirms the newest seals: {self.unknown_key}. {UNKNOWN_KEY}"
        yield from self._id_problems()
        yield from self._tail_problems()
        yield from self._age_problems()

    def _seal_problems(self, row: Any) -> Iterator[str]:
        if row.id != self._end.seal_id + 1:
            yield f"{_seals(self._end.seal_id + 1, row.id - 1)} missing before seal {row.id} of {row.created_at}."
        elif row.previous != self._end.hash:
            yield f"Seal {row.id} of {row.created_at} does not follow seal {row.id - 1}: one of them was changed."
        try:
            self.signer.check(signed_content(row), row.key_id, row.signature)
        except UnknownKey as error:
            # The next seal with a known key confirms this one: its signature was checked when the next one was made.
            self.unknown_key = str(error)
        except InvalidSignature:
            yield f"Seal {row.id} of {row.created_at} was changed, or this service did not make it."
        else:
            self.unknown_key = ""

    def _entry_problems(self, row: Any) -> Iterator[str]:
        try:
            listed = listed_entries(row)
        except ValueError:
            return  # a list that cannot be read has no valid signature
        changed, added, backdated = Ids(), Ids(), Ids()
        range_ = (AuditLog.id > self._end.last_id, AuditLog.id <= row.last_id)
        try:
            for entry in self._pages(entry_query().where(*range_), AuditLog.id, BATCH):
                self.entries += 1
                if self._has_wrong_time(entry.created_at, row.created_at):
                    backdated.add(entry.id)
                digest = listed.pop(entry.id, None)
                if digest is None:
                    added.add(entry.id)
                elif digest != entry_hash(entry, row.version):
                    changed.add(entry.id)
        except (ValueError, KeyError):
            yield f"Entries that seal {row.id} lists cannot be read, so they were changed."
            return
        missing = Ids()
        for entry_id in listed:
            missing.add(entry_id)
        found = {"changed after the seal": changed, "missing": missing, "added after the seal": added}
        sealed = f"seal {row.id} of {row.created_at}"
        yield from (f"{_capital(ids)}: {what} ({sealed})." for what, ids in found.items() if ids.count)
        if backdated.count:
            yield f"{_capital(backdated)}: the time does not fit the entries before ({sealed})."

    def _id_problems(self) -> Iterator[str]:
        """Yield the entries with ids that no seal covers: the service does not choose ids."""
        unusual = Ids()
        outside = sa.or_(AuditLog.id < 1, AuditLog.id > min(self._end.last_id + MAX_GAP, MAX_ID))
        for entry in self._pages(sa.select(AuditLog.id).where(outside), AuditLog.id, BATCH):
            unusual.add(entry.id)
        if unusual.count:
            yield f"{_capital(unusual)}: the service makes no entries with such ids, and no seal covers them."

    def _tail_problems(self) -> Iterator[str]:
        """Yield the problems of the entries that no seal covers yet."""
        now, backdated, oldest = utc_now(), Ids(), None
        try:
            for entry in self._pages(entry_query().where(sealable(self._end)), AuditLog.id, BATCH):
                self.unsealed += 1
                if self._has_wrong_time(entry.created_at, now):
                    backdated.add(entry.id)
                oldest = oldest or entry
        except ValueError:
            yield f"Entries after entry {self._end.last_id} cannot be read, so they were changed."
        if backdated.count:
            yield f"{_capital(backdated)}: the time does not fit the entries before (not sealed yet)."
        elif oldest and oldest.created_at < now - self.delay - OVERDUE:
            yield (
                f"Entry {oldest.id} of {oldest.created_at} is not sealed yet. Find out whether worker and beat run; "
                "flask audit-log seal seals now."
            )

    def _age_problems(self) -> Iterator[str]:
        newest = self._end.created_at
        if newest and newest < utc_now() - HEARTBEAT - OVERDUE:
            yield (
                f"The newest seal is of {newest}: worker or beat does not run, or the chain was cut at its end. "
                "flask audit-log seal seals now."
            )

    def _has_wrong_time(self, time: datetime, known_at: datetime) -> bool:
        """Whether an entry is much older than those with smaller ids, or than the moment at which it was known."""
        if time > known_at + FUTURE:
            return True
        if self._newest_time and time < self._newest_time - BACKDATED:
            return True
        self._newest_time = max(time, self._newest_time or time)
        return False

    def _pages(self, query: sa.Select[*tuple[Any, ...]], key: Any, size: int) -> Iterator[Any]:
        """Yield the rows of a query by their key, in pages: one statement would keep all of them in memory."""
        page = query.order_by(key).limit(size)
        rows = self.session.execute(page).all()
        while rows:
            yield from rows
            if time.monotonic() > self.deadline:
                raise OutOfTime
            rows = self.session.execute(page.where(key > rows[-1].id)).all() if len(rows) == size else []


def _seals(first: int, last: int) -> str:
    return f"Seal {first} is" if first == last else f"Seals {first} to {last} are"


def _capital(ids: Ids) -> str:
    text = str(ids)
    return text[0].upper() + text[1:]
