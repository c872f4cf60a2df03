"""A new encryption key under traffic, and erasures that outlast the restore of a backup."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from app.security.encryption import Keyring
from tests.accounts.factory import PASSWORD
from tests.conftest import MIGRATED
from tests.environments import ROOT, production_environment
from tests.running.conftest import StartWeb, Web
from tests.servers import PostgresServer, RedisServer, RunningService, clean_environment

pytestmark = pytest.mark.running

OLD, NEW = "o" * 40, "n" * 40
STEP_ONE = {"MASTER_ENCRYPTION_KEY": OLD, "LEGACY_ENCRYPTION_KEYS": NEW, "RATELIMIT_ENABLED": "false"}
STEP_TWO = {"MASTER_ENCRYPTION_KEY": NEW, "LEGACY_ENCRYPTION_KEYS": OLD, "RATELIMIT_ENABLED": "false"}
QUIET = 10_000
REGISTER, LOGIN, ME = "/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/users/me"

Run = Callable[..., RunningService]


def account(name: str) -> dict[str, str]:
    return {"email": f"{name}@example.org", "password": PASSWORD}


def sign_in(web: Web, name: str) -> dict[str, str]:
    given = web.post(LOGIN, account(name)).json()
    return {"Authorization": f"Bearer {given['access_token']}"}


@pytest.fixture
def flask(redis: RedisServer) -> Iterator[Run]:
    """Starts a command of the service."""
    running: list[RunningService] = []

    def start(database_url: str, *arguments: str, **settings: str) -> RunningService:
        environment = production_environment(database_url, redis.url, **settings)
        running.append(RunningService(["flask", "--app", "wsgi", *arguments], environment, folder=ROOT))
        return running[-1]

    yield start
    for process in running:
        process.close()


def fill(engine: sa.Engine) -> None:
    """Make users with names under the earlier key."""
    keyring = Keyring([OLD])
    query = sa.text(
        "INSERT INTO users (email, password_hash, role, display_name, created_at, updated_at) "
        "VALUES (:email, '-', 'user', :name, now(), now())"
    )
    names = ({"email": f"quiet{n}@example.org", "name": keyring.encrypt(f"quiet {n}")} for n in range(QUIET))
    with engine.begin() as connection:
        connection.execute(query, list(names))


def under(engine: sa.Engine, secret: str) -> int:
    """How many names are under a key."""
    query = sa.text("SELECT count(*) FROM users WHERE display_name LIKE :start")
    with engine.connect() as connection:
        count: int = connection.execute(query, {"start": f"enc:{Keyring([secret]).current}:%"}).scalar_one()
        return count


@dataclass
class Traffic:
    """People who change their names on one replica, and see whether all replicas tell them the same."""

    webs: list[Web]
    rounds: int = 0
    failures: list[object] = field(default_factory=list)

    @contextmanager
    def run(self, count: int) -> Iterator[None]:
        over = Event()
        threads = [Thread(target=self._live, args=(f"busy{n}", over)) for n in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _live(self, person: str, over: Event) -> None:
        try:
            headers = sign_in(self.webs[0], person)
            while not over.is_set():
                self._once(f"{person} {self.rounds}", headers)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test tells of it
            self.failures.append(error)

    def _once(self, name: str, headers: dict[str, str]) -> None:
        webs = list(self.webs)
        writer = webs[self.rounds % len(webs)]
        changed = requests.patch(writer.url + ME, json={"display_name": name}, headers=headers, timeout=10)
        seen = [changed, *(web.get(ME, headers=headers) for web in webs)]
        self.rounds += 1
        self.failures += [
            (answer.status_code, answer.text)
            for answer in seen
            if answer.status_code != 200 or answer.json()["display_name"] != name
        ]


@pytest.mark.req("P1")
def test_a_key_is_rotated_under_traffic_and_a_rotation_that_is_killed_is_gone_on_with(
    start_web: StartWeb, migrated_database: str, flask: Run
) -> None:
    engine = sa.create_engine(migrated_database)
    fill(engine)
    before, after = start_web(**STEP_ONE), start_web(**STEP_TWO)
    for number in range(3):
        before.post(REGISTER, {**account(f"busy{number}"), "display_name": "new"})
    traffic = Traffic([before, after])

    with traffic.run(3):
        first = flask(migrated_database, "keys", "rotate", **STEP_TWO)
        first.wait_until_printed("encrypted anew")
        first.stop(signal.SIGKILL)
        left = under(engine, OLD)
        second = flask(migrated_database, "keys", "rotate", **STEP_TWO)
        second.wait()  # the replica at step one still writes under the earlier key, so that not all need be done
        traffic.webs.remove(before)
        third = flask(migrated_database, "keys", "rotate", **STEP_TWO)
        code = third.wait()

    assert traffic.failures == []
    assert traffic.rounds > 20
    assert 0 < left < QUIET
    assert code == 0, third.output()
    assert (under(engine, OLD), under(engine, NEW)) == (0, QUIET + 3)
    with engine.connect() as connection:
        query = sa.text("SELECT display_name FROM users WHERE email LIKE 'quiet%' ORDER BY id")
        names = [Keyring([NEW]).decrypt(stored) for stored in connection.execute(query).scalars()]
    assert names == [f"quiet {n}" for n in range(QUIET)]
    engine.dispose()


@dataclass
class Site:
    """A database that is backed up, and a storage that is not."""

    server: PostgresServer
    storage: str
    name: str = "site"

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    @property
    def settings(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url, "STORAGE_URL": self.storage}

    def back_up(self, file: Path) -> None:
        self._run("pg_dump", "--format=custom", f"--file={file}", self.url)

    def restore(self, file: Path) -> None:
        self.server.drop_database(self.name)
        self.server.create_database(self.name)
        self._run("pg_restore", "--exit-on-error", f"--dbname={self.url}", str(file))

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.server._programs / program), *arguments]
        subprocess.run(command, env=clean_environment(), check=True, timeout=60)


@pytest.fixture
def site(postgres: PostgresServer, tmp_path: Path) -> Iterator[Site]:
    site = Site(postgres, (tmp_path / "storage").as_uri())
    postgres.create_database(site.name, template=MIGRATED)
    yield site
    postgres.drop_database(site.name)


def register(web: Web, *names: str) -> list[Any]:
    return [web.post(REGISTER, account(name)).json()["id"] for name in names]


def statuses(web: Web, *names: str) -> list[int]:
    """How each of them fares at signing in."""
    return [web.post(LOGIN, account(name)).status_code for name in names]


@pytest.mark.req("P3")
def test_who_was_erased_stays_erased_when_an_older_backup_is_restored(
    start_web: StartWeb, site: Site, flask: Run, tmp_path: Path
) -> None:
    web = start_web(**site.settings)
    register(web, "ann", "bob")
    site.back_up(tmp_path / "backup")
    (carols_id,) = register(web, "carol")
    for name in ("bob", "carol"):
        assert requests.delete(web.url + ME, headers=sign_in(web, name), timeout=10).status_code == 204
    web.process.stop()

    site.restore(tmp_path / "backup")
    made_ready = flask(site.url, "init-db", STORAGE_URL=site.storage)
    code = made_ready.wait()
    again = start_web(**site.settings)
    (daves_id,) = register(again, "dave")
    reapplied = flask(site.url, "erasures", "reapply", STORAGE_URL=site.storage)
    reapplied.wait()

    assert code == 0
    assert "erasures: 1 applied again" in made_ready.output()
    assert daves_id == carols_id  # given out again, to somebody else
    assert "erasures: 0 applied again" in reapplied.output()
    assert statuses(again, "ann", "bob", "dave") == [200, 401, 200]
