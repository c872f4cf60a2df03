"""One SIGTERM ends a role at any moment of its start, also as process 1 of a container."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.environments import ROOT, production_environment
from tests.servers import RedisServer, RunningService, free_port, process_reaper, wait_until

pytestmark = pytest.mark.running

ROLES = ("web", "worker", "beat", "flower", "migrate")
PROGRAMS = {"web": "gunicorn", "worker": "worker", "beat": "beat", "flower": "flower"}
ENDED_BY_SIGTERM = 128 + signal.SIGTERM
# The kernel treats process 1 differently: it ignores signals without a handler. Only root may create such a process.
AS_PROCESS_1 = ["unshare", "--pid", "--fork", "--kill-child"] if sys.platform == "linux" and os.geteuid() == 0 else []
BLOCKED = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


class Role:
    """A role that starts, possibly as process 1."""

    def __init__(self, service: RunningService) -> None:
        self.service = service

    @property
    def pid(self) -> int:
        """The process that a container engine would signal."""
        if not AS_PROCESS_1:
            return self.service.pid
        assert wait_until(lambda: bool(self.service.children()), 300)
        return self.service.children()[0]

    def handles_sigterm(self) -> bool:
        """Whether the process has a handler for SIGTERM."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    def runs(self, program: str) -> bool:
        """Whether a child of the process is this program."""
        children = [row.pid for row in process_reaper.processes() if row.parent == self.pid]
        return any(program in command_line(child) for child in children)

    def terminate(self) -> int:
        """Send one SIGTERM; returns the exit code after every process has ended."""
        tree = process_reaper.process_tree(self.pid)
        os.kill(self.pid, signal.SIGTERM)
        code = self.service.wait(300)
        assert wait_until(lambda: not process_reaper.still_running(tree), 300)
        return code


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:  # the process has ended
        return ""


@contextmanager
def start(role: str, database_url: str, redis_url: str, **settings: str) -> Iterator[Role]:
    ports = {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
    password = {"FLOWER_PASSWORD": secrets.token_urlsafe(48), "DB_WAIT_SECONDS": "600"}
    environment = production_environment(database_url, redis_url, **{**password, **ports, **settings})
    with RunningService([*AS_PROCESS_1, "./entrypoint.sh", role], environment, folder=ROOT) as service:
        yield Role(service)


@pytest.fixture
def unreachable() -> str:
    return f"postgresql://app:x@127.0.0.1:{free_port()}/app"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.fault("F18")
@pytest.mark.req("S7")
def test_first_moment_of_a_start_can_be_terminated(role: str, unreachable: str) -> None:
    with start(role, unreachable, "redis://127.0.0.1:1/0") as process:
        assert wait_until(process.handles_sigterm, 300)

        assert process.terminate() == ENDED_BY_SIGTERM


@pytest.mark.parametrize("role", ["web", "worker", "beat", "migrate"])
@pytest.mark.fault("F18")
@pytest.mark.req("S7")
def test_wait_for_the_database_can_be_terminated(role: str, unreachable: str) -> None:
    with start(role, unreachable, "redis://127.0.0.1:1/0") as process:
        process.service.wait_until_printed("waiting for the database", 300)

        assert process.terminate() == ENDED_BY_SIGTERM
        assert not any(line.get("logger", "").startswith(("gunicorn", "celery")) for line in process.service.lines())


@pytest.mark.parametrize("role", ["web", "migrate"])
@pytest.mark.fault("F18")
@pytest.mark.req("S7", "D3")
def test_running_migration_can_be_terminated(role: str, empty_database: str, redis_server: RedisServer) -> None:
    engine = sa.create_engine(empty_database)
    settings = {"MIGRATION_LOCK_TIMEOUT_MS": "60000"}
    with engine.connect() as blocker, start(role, empty_database, redis_server.url, **settings) as process:
        blocker.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))  # uncommitted: others wait
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as observer:
            assert wait_until(lambda: bool(observer.scalar(BLOCKED)), 300), process.service.output()

            assert process.terminate() == ENDED_BY_SIGTERM
        blocker.rollback()
    assert "alembic_version" not in sa.inspect(engine).get_table_names()
    engine.dispose()


def has_program(process: Role, role: str) -> Callable[[], bool]:
    return lambda: process.runs(PROGRAMS[role])


@pytest.mark.parametrize("role", PROGRAMS)
@pytest.mark.fault("F18")
@pytest.mark.req("S7")
def test_program_without_handlers_yet_can_be_terminated(
    role: str, migrated_database: str, redis_server: RedisServer
) -> None:
    with start(role, migrated_database, redis_server.url) as process:
        assert wait_until(has_program(process, role), 300), process.service.output()

        code = process.terminate()

    assert code in (0, ENDED_BY_SIGTERM)


@pytest.mark.fault("F18")
@pytest.mark.req("S6")
def test_exit_status_of_the_program_is_that_of_the_role(migrated_database: str, redis_server: RedisServer) -> None:
    port = free_port()
    with start("web", migrated_database, redis_server.url, PORT=str(port)) as process:
        process.service.wait_until_listening(port, 300)

        assert process.terminate() == 0
