"""How many positions a user may still store, without counting rows for every request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from cachetools import TLRUCache

MAX_USERS = 50_000
MAX_RATE = 334  # positions per second that the default rate limits let a user store
MIN_SECONDS, MAX_SECONDS = 60.0, 86_400.0


@dataclass
class Room:
    """The positions that a user may still store."""

    left: int


class PositionQuota:
    """Counts a user's rows once, then subtracts what this process stores, until the user could have reached the quota.

    Other processes count for themselves, so a user can exceed the quota by what the rate limits allow in
    `MIN_SECONDS`. A rejected request counts nothing.
    """

    def __init__(self) -> None:
        self._rooms: TLRUCache[int, Room] = TLRUCache(MAX_USERS, ttu=_expiry)
        self._lock = Lock()

    def reserve(self, user_id: int, number: int, count_left: Callable[[], int]) -> int:
        """Reserve room for so many positions if there is enough; return the room there was."""
        with self._lock:
            room = self._rooms.get(user_id)
        if room is None:
            room = Room(max(0, count_left()))
        with self._lock:
            room = self._rooms.setdefault(user_id, room)
            left = room.left
            if number <= left:
                room.left -= number
        return left

    def give_back(self, user_id: int, number: int) -> None:
        """Undo a reservation: the positions were not stored."""
        with self._lock:
            if room := self._rooms.get(user_id):
                room.left += number


def _expiry(_user_id: int, room: Room, now: float) -> float:
    return now + min(max(room.left / MAX_RATE, MIN_SECONDS), MAX_SECONDS)
