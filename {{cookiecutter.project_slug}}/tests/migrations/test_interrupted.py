"""A revision that stopped after any of its statements can be repeated, and leaves the same schema as a whole run."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.environments import ROOT
from tests.migrations.interruptions import Migrations, schema, stop_and_repeat

pytestmark = [pytest.mark.req("D2", "D3"), pytest.mark.fault("F63")]

CONFIG = Config()
CONFIG.set_main_option("script_location", str(ROOT / "migrations"))
REVISIONS = [script.revision for script in ScriptDirectory.from_config(CONFIG).walk_revisions()][::-1]


def test_every_revision_can_be_repeated_after_every_statement(migrations: Migrations, engine: sa.Engine) -> None:
    stops = 0
    for before, revision in zip(["base", *REVISIONS], REVISIONS, strict=False):
        migrations.run("upgrade", revision)
        whole = schema(engine)
        migrations.run("downgrade", before)
        stops += stop_and_repeat(migrations, "upgrade", revision)
        assert schema(engine) == whole, revision

    assert stops > len(REVISIONS)


def test_every_downgrade_can_be_repeated_after_every_statement(migrations: Migrations, engine: sa.Engine) -> None:
    migrations.run("upgrade", "head")

    for before in ["base", *REVISIONS][-2::-1]:
        stop_and_repeat(migrations, "downgrade", before)

    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
