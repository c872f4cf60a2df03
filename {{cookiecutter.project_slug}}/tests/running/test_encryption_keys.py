"""Tests of the rotation to a new encryption key under traffic."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import pytest
import requests
import sqlalchemy as sa

from app.platform.database.encryption import Keyring
from tests.encryption_keys.stored_names import place
from tests.running.accounts import ME, REGISTER, account, auth_headers
from tests.running.conftest import StartWeb, Web
from tests.running.flask_commands import start_flask
from tests.servers import RedisServer, RunningService

pytestmark = pytest.mark.running

OLD, NEW = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
STEP_ONE = {"MASTER_ENCRYPTION_KEY": OLD, "LEGACY_ENCRYPTION_KEYS": NEW, "RATELIMIT_ENABLED": "false"}
STEP_TWO = {"MASTER_ENCRYPTION_KEY": NEW, "LEGACY_ENCRYPTION_KEYS": OLD, "RATELIMIT_ENABLED": "false"}
IDLE_USERS, ACTIVE_USERS = 10_000, 3
FIRST_ID = 1_000_000  # of the idle users


def insert_idle_users(engine: sa.Engine) -> None:
    """Insert users with names under the earlier key."""
    keyring = Keyring([OLD])
    query = sa.text(
        "INSERT INTO users (id, email, password_hash, role, display_name, created_at, updated_at) "
        "VALUES (:id, :email, '-', 'user', :name, now(), now())"
    )
    rows = [
        {"id": FIRST_ID + n, "email": f"idle{n}@example.org", "name": keyring.encrypt(f"idle {n}", place(FIRST_ID + n))}
        for n in range(IDLE_USERS)
    ]
    with engine.begin() as connection:
        connection.execute(query, rows)


def count_names_under(engine: sa.Engine, secret: str) -> int:
    """Return the number of names under the key of this secret."""
    query = sa.text("SELECT count(*) FROM users WHERE display_name LIKE :pattern")
    with engine.connect() as connection:
        count: int = connection.execute(query, {"pattern": f"enc2:{Keyring([secret]).current}:%"}).scalar_one()
        return count


@dataclass
class Traffic:
    """Users who change their names on one replica after the other, and compare what all replicas return."""

    replicas: list[Web]
    rounds: int = 0
    failures: list[object] = field(default_factory=list)

    @contextmanager
    def run(self, users: int) -> Iterator[None]:
        stopped = Event()
        threads = [Thread(target=self._change_names, args=(f"active{n}", stopped)) for n in range(users)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopped.set()
            for thread in threads:
                thread.join()

    def _change_names(self, user: str, stopped: Event) -> None:
        try:
            headers = auth_headers(self.replicas[0], user)
            while not stopped.is_set():
                self._change_name(f"{user} {self.rounds}", headers)
        except Exception as error:  # noqa: BLE001 - the test asserts that there are no failures
            self.failures.append(error)

    def _change_name(self, name: str, headers: dict[str, str]) -> None:
        replicas = list(self.replicas)
        writer = replicas[self.rounds % len(replicas)]
        changed = requests.patch(writer.url + ME, json={"display_name": name}, headers=headers, timeout=60)
        responses = [changed, *(replica.get(ME, headers=headers) for replica in replicas)]
        self.rounds += 1
        self.failures += [
            (response.status_code, response.text)
            for response in responses
            if response.status_code != 200 or response.json()["display_name"] != name
        ]


@pytest.mark.req("P1")
def test_killed_rotation_under_traffic_can_be_completed(
    start_web: StartWeb, migrated_database: str, redis: RedisServer
) -> None:
    engine = sa.create_engine(migrated_database)
    insert_idle_users(engine)
    step_one, step_two = start_web(**STEP_ONE), start_web(**STEP_TWO)
    for number in range(ACTIVE_USERS):
        step_one.post(REGISTER, {**account(f"active{number}"), "display_name": "new"})
    traffic = Traffic([step_one, step_two])

    def rotate() -> RunningService:
        return start_flask(migrated_database, redis, "keys", "rotate", **STEP_TWO)

    with traffic.run(ACTIVE_USERS):
        with rotate() as first:
            first.wait_until_printed("re-encrypted")
            first.stop(signal.SIGKILL)
        outdated = count_names_under(engine, OLD)
        with rotate() as second:
            second.wait()  # may fail: the replica at step one still writes under the earlier key
        traffic.replicas.remove(step_one)
        with rotate() as third:
            exit_code, output = third.wait(), third.output()

    assert traffic.failures == []
    assert traffic.rounds > 20
    assert 0 < outdated < IDLE_USERS
    assert exit_code == 0, output
    assert (count_names_under(engine, OLD), count_names_under(engine, NEW)) == (0, IDLE_USERS + ACTIVE_USERS)
    with engine.connect() as connection:
        query = sa.text("SELECT id, display_name FROM users WHERE email LIKE 'idle%' ORDER BY id")
        keyring = Keyring([NEW])
        names = [keyring.decrypt(name).text_at(place(user_id)) for user_id, name in connection.execute(query)]
    assert names == [f"idle {n}" for n in range(IDLE_USERS)]
    engine.dispose()
