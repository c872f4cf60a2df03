"""No revision drops the triggers of an append-only table."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.platform.database.append_only import append_only_tables
from app.platform.database.base import db
from tests.environments import ROOT
from tests.guards.migration_rules import dropped_trigger_problems

pytestmark = [pytest.mark.req("P4", "D2"), pytest.mark.fault("F58")]


def test_revisions_keep_the_triggers_of_append_only_tables() -> None:
    tables = [table.name for table in append_only_tables(db.metadata)]

    assert dropped_trigger_problems(ROOT / "migrations" / "versions", tables) == []


@pytest.mark.parametrize(
    ("revision", "rejected"),
    [
        ('with op.batch_alter_table("audit_logs") as table:\n    pass', True),
        ('TABLE = "audit_logs"\nwith op.batch_alter_table(TABLE, schema=None) as table:\n    pass', True),
        ('with op.batch_alter_table(table_name="audit_logs") as table:\n    pass', True),
        ('with op.batch_alter_table("users") as table:\n    pass', False),
        ('op.add_column("audit_logs", column)', False),
        (
            'with op.batch_alter_table("audit_logs") as t:\n    pass\nop.execute("CREATE TRIGGER audit_logs_no_x")',
            False,
        ),
    ],
)
def test_batch_without_triggers_is_rejected(tmp_path: Path, revision: str, rejected: bool) -> None:
    (tmp_path / "0011.py").write_text(revision)

    problems = dropped_trigger_problems(tmp_path, ["audit_logs"])

    assert len(problems) == rejected
    assert not problems or "0011.py calls batch_alter_table for audit_logs" in problems[0]
