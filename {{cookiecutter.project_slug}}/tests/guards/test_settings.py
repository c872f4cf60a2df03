"""Settings stand in one place, and everywhere they are told of."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from app.environment import declarations
from app.settings import ComposeSettings, Settings
from tests.environments import ROOT

KNOWN = {**declarations(Settings), **declarations(ComposeSettings)}


@pytest.fixture(scope="module")
def documenting() -> ModuleType:
    spec = importlib.util.spec_from_file_location("document_settings", ROOT / "scripts" / "document_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.req("S2")
def test_the_example_and_the_reference_are_what_the_declarations_say(documenting: ModuleType) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    reference = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    assert example == documenting.example(), "run: make settings"
    assert reference == documenting.reference(), "run: make settings"


@pytest.mark.req("S2")
def test_the_example_names_every_setting_once(documenting: ModuleType) -> None:
    names = re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(names) == sorted(KNOWN)


@pytest.mark.req("S2")
def test_every_number_has_bounds() -> None:
    unbounded = [
        name for name, known in KNOWN.items() if type(known.default) in (int, float) and " to " not in known.kind
    ]

    assert not unbounded


@pytest.mark.req("S2")
def test_the_environment_is_read_in_one_place() -> None:
    allowed = {Path("app/configuration.py"), Path("app/observability/slots.py")}  # the metrics library's own variable
    readers = {
        path.relative_to(ROOT)
        for path in (ROOT / "app").rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    }

    assert readers <= allowed, "declare a setting in app/settings.py"


@pytest.mark.req("S4", "D2")
def test_no_table_is_made_behind_the_migrations_and_sqlite_is_no_fallback() -> None:
    for path in (ROOT / "app").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "create_all" not in text, path
        assert "import sqlite3" not in text, path
