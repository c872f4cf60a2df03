"""The service on MariaDB, by its address alone: migrations there and back, and its own tests."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Bakery, plain_environment, run

from e2e.engine import DockerError, docker, wait_until

IMAGE = "mariadb:11"
START_SECONDS = 120


def is_up(container: str) -> bool:
    try:
        docker("exec", container, "healthcheck.sh", "--connect", "--innodb_initialized")
    except DockerError:
        return False
    return True


@pytest.fixture(scope="module")
def mariadb() -> Iterator[str]:
    """The address of a MariaDB server, which ends in a slash: a database's name may follow."""
    password = secrets.token_hex(16)
    options = ("--env", f"MARIADB_ROOT_PASSWORD={password}", "--publish", "127.0.0.1::3306")
    container = docker("run", "--detach", *options, IMAGE).strip()
    try:
        wait_until(lambda: is_up(container), START_SECONDS, "MariaDB did not start")
        for name in ("suite", "migrations"):
            docker("exec", container, "mariadb", f"-p{password}", "-e", f"CREATE DATABASE {name}")
        port = docker("port", container, "3306/tcp").split(":")[1].strip()
        yield f"mysql://root:{password}@127.0.0.1:{port}/"
    finally:
        docker("rm", "--force", "--volumes", container)


@pytest.fixture(scope="module")
def service(baked: Bakery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bake that tests may leave something in."""
    return shutil.copytree(baked(), tmp_path_factory.mktemp("mariadb") / "service")


def environment(venv: Path, **settings: str) -> dict[str, str]:
    path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return plain_environment(PATH=path, FLASK_SKIP_DOTENV="1", **settings)


@pytest.mark.req("D2", "S4")
def test_the_migrations_go_there_and_back(service: Path, service_venv: Path, mariadb: str) -> None:
    settings = {"APP_ENV": "testing", "SECRET_KEY": secrets.token_urlsafe(48), "DATABASE_URL": f"{mariadb}migrations"}
    env = environment(service_venv, **settings)

    for command in ("upgrade", "downgrade base", "upgrade", "check"):
        run(["flask", "--app", "wsgi", "db", *command.split()], service, env)


# The parts that read and write; the others go alike on every database.
PARTS = (
    "accounts admin api_keys audit data_files locations privacy attacks/test_sql.py test_database.py test_migrations.py"
)


@pytest.mark.req("S4", "D2")
def test_the_services_own_tests_pass(service: Path, service_venv: Path, mariadb: str) -> None:
    env = environment(service_venv, TEST_DATABASE_URL=f"{mariadb}suite")

    run(["python", "-m", "pytest", "-m", "not running", *(f"tests/{part}" for part in PARTS.split())], service, env)
