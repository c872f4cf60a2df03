"""The service on MariaDB, selected by DATABASE_URL: migrations up and down, and the service's own tests.

MARIADB_URL, such as mysql://user:password@127.0.0.1:3306/, selects an installed server instead of a container. Its user
may create databases; two of them, `suite` and `migrations`, must exist and be empty.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BakeFactory, clean_environment, run

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
    """The URL of a MariaDB server; it ends in a slash, to which a database name can be appended."""
    if url := os.environ.get("MARIADB_URL"):
        yield url
        return
    password = secrets.token_hex(16)
    options = ("--env", f"MARIADB_ROOT_PASSWORD={password}", "--publish", "127.0.0.1::3306")
    container = docker("run", "--detach", *options, IMAGE).strip()
    try:
        wait_until(lambda: is_up(container), START_SECONDS, "MariaDB did not start")
        # The service must not depend on the default character set.
        for name in ("suite", "migrations"):
            docker("exec", container, "mariadb", f"-p{password}", "-e", f"CREATE DATABASE {name} CHARACTER SET latin1")
        port = docker("port", container, "3306/tcp").split(":")[1].strip()
        yield f"mysql://root:{password}@127.0.0.1:{port}/"
    finally:
        docker("rm", "--force", "--volumes", container)


@pytest.fixture(scope="module")
def service(bake_service: BakeFactory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bake that tests may change."""
    return shutil.copytree(bake_service(), tmp_path_factory.mktemp("mariadb") / "service")


def service_environment(venv: Path, **settings: str) -> dict[str, str]:
    path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return clean_environment(PATH=path, FLASK_SKIP_DOTENV="1", **settings)


@pytest.mark.req("D2", "S4")
def test_migrations_upgrade_and_downgrade(service: Path, service_venv: Path, mariadb: str) -> None:
    settings = {"APP_ENV": "testing", "SECRET_KEY": secrets.token_urlsafe(48), "DATABASE_URL": f"{mariadb}migrations"}
    env = service_environment(service_venv, **settings)

    for command in ("upgrade", "downgrade base", "upgrade", "check"):
        run(["flask", "--app", "wsgi", "db", *command.split()], service, env)


# The tests that use the database, besides those of the features; the others do not depend on it.
DATABASE_TESTS = (
    "tests/attacks/test_sql.py",
    "tests/attacks/test_deleted_rows.py",
    "tests/platform/database",
    "tests/migrations",
)
# The tests that use the server of TEST_DATABASE_URL, though they are marked `running`.
SERVER_TESTS = ("tests/migrations/test_migration_errors.py", "tests/migrations/test_models.py")
LARGE_TABLE_ROWS = "1000000"


@pytest.mark.req("S4", "D2")
def test_service_tests_pass_on_mariadb(service: Path, service_venv: Path, mariadb: str) -> None:
    env = service_environment(service_venv, TEST_DATABASE_URL=f"{mariadb}suite")
    features = [f"tests/{path.parent.name}" for path in sorted((service / "app").glob("*/__init__.py"))]
    tests = [path for path in (*features, *DATABASE_TESTS) if (service / path).exists() and path != "tests/platform"]

    run(["python", "-m", "pytest", "-m", "database and not running", *tests], service, env)


@pytest.mark.req("D1", "D3", "S4")
@pytest.mark.fault("F62", "F63")
def test_large_tables_and_interrupted_migrations_on_mariadb(service: Path, service_venv: Path, mariadb: str) -> None:
    settings = {"TEST_DATABASE_URL": f"{mariadb}suite", "PLAN_ROWS": LARGE_TABLE_ROWS}
    plans = [str(path.relative_to(service)) for path in sorted(service.glob("tests/*/test_plans.py"))]

    run(["python", "-m", "pytest", *SERVER_TESTS, *plans], service, service_environment(service_venv, **settings))
