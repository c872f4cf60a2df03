"""`entrypoint.sh` reports every error before a port is open."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from tests.environments import ROOT, production_environment
from tests.servers import PostgresServer, RedisServer, RunningService, free_port, wait_until

pytestmark = pytest.mark.running

BROKEN = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "broken", "{parent}", None, None


def upgrade() -> None:
    op.create_table("incomplete", sa.Column("id", sa.Integer))
    op.execute("SELECT no_such_function()")


def downgrade() -> None:
    op.drop_table("incomplete")
"""


def start(role: str, environment: dict[str, str], folder: Path = ROOT) -> RunningService:
    return RunningService(["./entrypoint.sh", role], environment, folder=folder)


def newest_revision() -> str:
    found = ScriptDirectory(str(ROOT / "migrations")).get_current_head()
    assert found
    return found


def listens(port: int) -> bool:
    try:
        requests.get(f"http://127.0.0.1:{port}/health", timeout=5)
    except requests.ConnectionError:
        return False
    return True


@pytest.mark.parametrize("role", ["web", "worker", "beat", "migrate"])
@pytest.mark.req("S3", "S7", "W1")
def test_every_role_reports_all_problems_of_the_environment(role: str) -> None:
    port = free_port()
    environment = production_environment("sqlite:///app.db", "http://redis", PORT=str(port), SECRET_KEY="short")

    with start(role, environment) as process:
        code, output = process.wait(), process.output()

    assert code != 0
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL"):
        assert f"- {name}" in output
    assert not listens(port)


PROGRAMS = ["gunicorn --config gunicorn.conf.py", "celery --app wsgi:celery worker", "celery --app wsgi:celery beat",
            "flask --app wsgi db upgrade"]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.req("S3", "W1")
def test_every_program_reports_all_problems_of_the_environment(program: str) -> None:
    port = free_port()
    environment = production_environment("sqlite:///app.db", "", PORT=str(port), FLASK_SKIP_DOTENV="1")

    with RunningService(program.split(), environment, folder=ROOT) as process:
        code, output = process.wait(), process.output()

    assert code != 0
    assert "The configuration has 2 problems:" in output
    assert "Traceback" not in output
    assert not listens(port)


@pytest.mark.req("S7")
def test_wait_for_the_database_is_bounded() -> None:
    port = free_port()
    unreachable = f"postgresql://app:x@127.0.0.1:{free_port()}/app"
    environment = production_environment(unreachable, "redis://127.0.0.1:1/0", PORT=str(port), DB_WAIT_SECONDS="2")

    started = time.monotonic()
    with start("web", environment) as process:
        code, output = process.wait(300), process.output()

    assert code != 0
    assert "waiting for the database" in output
    assert "did not answer within 2 s" in output
    assert time.monotonic() - started < 120
    assert not listens(port)


@pytest.mark.req("S7")
def test_start_waits_for_a_late_database(
    migrated_database: str, redis_server: RedisServer, postgres: PostgresServer, tmp_path: Path
) -> None:
    port = free_port()
    settings = {
        "PORT": str(port),
        "DB_WAIT_SECONDS": "600",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "new" / "folder"),
    }
    environment = production_environment(migrated_database, redis_server.url, **settings)
    postgres.pause()
    try:
        with start("web", environment) as process:
            process.wait_until_printed("waiting for the database", 300)
            postgres.resume()
            process.wait_until_listening(port, 300)
    finally:
        postgres.resume()


@pytest.mark.req("S7", "D3")
def test_failed_migration_stops_the_start_and_is_rolled_back(
    migrated_database: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    copy = tmp_path / "service"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("tests", ".venv", ".git", "instance", ".*_cache"))
    (copy / "migrations" / "versions" / "broken.py").write_text(BROKEN.format(parent=newest_revision()))
    port = free_port()
    environment = production_environment(migrated_database, redis_server.url, PORT=str(port))

    with start("web", environment, copy) as process:
        code, output = process.wait(300), process.output()

    assert code != 0
    assert "no_such_function" in output
    assert not listens(port)
    engine = sa.create_engine(migrated_database)
    assert "incomplete" not in sa.inspect(engine).get_table_names()
    engine.dispose()


@pytest.mark.req("S5", "S7")
def test_too_many_connections_stop_the_start(migrated_database: str, redis_server: RedisServer) -> None:
    environment = production_environment(migrated_database, redis_server.url, WEB_REPLICAS="50")

    with start("web", environment) as process:
        code, output = process.wait(300), process.output()

    assert code != 0
    assert "50 replicas (WEB_REPLICAS)" in output


def test_unknown_role_is_rejected() -> None:
    with start("wep", {}) as process:
        assert process.wait() == 64
        assert "unknown role 'wep'" in process.output()


@pytest.mark.req("S7", "D3")
def test_one_of_ten_concurrent_starts_migrates(empty_database: str, redis_server: RedisServer) -> None:
    ports = [free_port() for _ in range(10)]

    with ExitStack() as running:
        processes = [
            running.enter_context(
                start(
                    "web",
                    production_environment(empty_database, redis_server.url, PORT=str(port), GUNICORN_WORKERS="1"),
                )
            )
            for port in ports
        ]
        for process, port in zip(processes, ports, strict=True):
            process.wait_until_listening(port, 600)
        ready = [requests.get(f"http://127.0.0.1:{port}/ready", timeout=60).status_code for port in ports]
        migrated = [process for process in processes if "Running upgrade" in process.output()]

    assert ready == [200] * 10
    assert len(migrated) == 1
    assert wait_until(lambda: not any(listens(port) for port in ports), 120)
