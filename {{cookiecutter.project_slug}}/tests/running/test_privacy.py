"""Tests of erasures after a backup is restored."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.conftest import MIGRATED
from tests.running.accounts import LOGIN, ME, REGISTER, account, auth_headers
from tests.running.conftest import StartWeb, Web
from tests.running.flask_commands import start_flask
from tests.servers import PostgresServer, RedisServer, clean_environment

pytestmark = pytest.mark.running


def register(web: Web, *names: str) -> list[int]:
    """Register users; returns their ids."""
    return [web.post(REGISTER, account(name)).json()["id"] for name in names]


def erase(web: Web, name: str) -> int:
    """Log a user in and erase the account; returns the status code."""
    return requests.delete(web.url + ME, headers=auth_headers(web, name), timeout=60).status_code


def login_statuses(web: Web, *names: str) -> list[int]:
    """Return the status code of each user's login."""
    return [web.post(LOGIN, account(name)).status_code for name in names]


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
        subprocess.run(command, env=clean_environment(), check=True, timeout=300)


@pytest.fixture
def site(postgres: PostgresServer, tmp_path: Path) -> Iterator[Site]:
    site = Site(postgres, (tmp_path / "storage").as_uri())
    postgres.create_database(site.name, template=MIGRATED)
    yield site
    postgres.drop_database(site.name)


@pytest.mark.req("P3")
def test_erased_users_stay_erased_after_a_restore(
    start_web: StartWeb, site: Site, redis: RedisServer, tmp_path: Path
) -> None:
    web = start_web(**site.settings)
    register(web, "ann", "bob")
    site.back_up(tmp_path / "backup")
    (carols_id,) = register(web, "carol")
    assert [erase(web, name) for name in ("bob", "carol")] == [204, 204]
    web.process.stop()

    site.restore(tmp_path / "backup")
    with start_flask(site.url, redis, "init-db", STORAGE_URL=site.storage) as init_db:
        exit_code, output = init_db.wait(), init_db.output()
    restored_web = start_web(**site.settings)
    (daves_id,) = register(restored_web, "dave")
    with start_flask(site.url, redis, "erasures", "reapply", STORAGE_URL=site.storage) as reapply:
        reapply.wait()
        reapply_output = reapply.output()

    assert exit_code == 0
    assert "erasures: 1 reapplied" in output
    assert daves_id == carols_id  # the database assigns the id again, to another user
    assert "erasures: 0 reapplied" in reapply_output
    assert login_statuses(restored_web, "ann", "bob", "dave") == [200, 401, 200]
