"""The revisions in docs/migrations.md work, and the lint rejects the forms that it warns of."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.environments import ROOT
from tests.migrations.interruptions import Migrations, stop_and_repeat
from tests.servers import clean_environment

pytestmark = pytest.mark.req("D2", "D3")

PAGE = (ROOT / "docs/migrations.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TIME = "'2026-01-02 03:04:05'"
UNSAFE = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "unsafe", "PARENT", None, None


def upgrade():
    op.alter_column("users", "email", new_column_name="mail")
    op.rename_table("api_keys", "keys")
    op.add_column("users", sa.Column("age", sa.BigInteger, nullable=False))
    op.create_index("ix_users_age", "users", ["age"])
    op.alter_column("users", "age", type_=sa.Text())
    op.alter_column("users", "display_name", nullable=False)
    op.create_check_constraint("ck_users_age", "users", "age > 0")
    op.drop_constraint(op.f("ck_users_role"), "users")
    op.drop_column("users", "last_login_at")
    op.drop_table("erasures")
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A folder with the service, whose revisions a test may change."""
    folder = tmp_path / "service"
    shutil.copytree(ROOT / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app", "wsgi.py", ".squawk.toml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/lint_migrations.sh", folder / "scripts")
    return folder


def add_revision(service: Path, name: str, text: str) -> None:
    (service / "migrations/versions" / f"{name}.py").write_text(text, encoding="utf-8")


def head() -> str:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return str(ScriptDirectory.from_config(config).get_current_head())


@pytest.fixture
def examples(service: Path) -> list[str]:
    """The names of the revisions of the page, which are added to the service."""
    names = [re.findall(r'^revision = "(.*)"', text, re.MULTILINE)[0] for text in EXAMPLES]
    for name, parent, text in zip(names, [head(), *names], EXAMPLES, strict=False):
        add_revision(
            service, name, re.sub(r"^down_revision = .*", f'down_revision = "{parent}"', text, flags=re.MULTILINE)
        )
    return names


def lint(service: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = service / "scripts/lint_migrations.sh"
    environment = clean_environment({"PATH": path, "NO_COLOR": "1"})
    return subprocess.run([script], env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.fault("F63")
def test_examples_can_be_repeated_after_every_statement(
    service: Path, examples: list[str], database_url: str, engine: sa.Engine
) -> None:
    migrations = Migrations(database_url, service / "migrations")
    migrations.run("upgrade", head())
    columns = "email, password_hash, role, created_at, updated_at"
    insert = f"INSERT INTO users ({columns}) VALUES (:email, '-', 'user', {TIME}, {TIME})"
    with engine.begin() as connection:
        connection.execute(sa.text(insert), [{"email": f"{n}@example.org"} for n in range(3)])

    stops = [stop_and_repeat(migrations, "upgrade", revision) for revision in examples]
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE users SET role = 'support' WHERE email = '1@example.org'"))
        users = connection.execute(sa.text("SELECT role, nickname FROM users ORDER BY email")).all()
        connection.execute(sa.text("UPDATE users SET role = 'user'"))
    engine.dispose()  # connections of SQLite cache the tables
    for before in [head(), *examples][-2::-1]:
        stop_and_repeat(migrations, "downgrade", before)

    assert min(stops) > 0
    assert [tuple(row) for row in users] == [("user", "user"), ("support", "user"), ("user", "user")]
    assert "nickname" not in {column["name"] for column in sa.inspect(engine).get_columns("users")}


@pytest.mark.usefixtures("examples")
def test_lint_accepts_the_examples(service: Path) -> None:
    result = lint(service)

    assert result.returncode == 0, result.stdout + result.stderr


def test_lint_rejects_unsafe_changes_and_names_the_page(service: Path) -> None:
    add_revision(service, "unsafe", UNSAFE.replace("PARENT", head()))
    table = PAGE[PAGE.index("| rule | instead |") :]
    rules = {rule for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for rule in re.findall("`(.*?)`", row)}

    result = lint(service)

    assert result.returncode != 0
    assert {rule for rule in rules if rule not in result.stdout} == set()
    assert "docs/migrations.md shows a safe form" in result.stderr
