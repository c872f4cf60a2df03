"""Features can be deleted and added with the changes that the service's docs/map.md lists, and nothing else."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from conftest import BakeFactory, clean_environment, copy_service, run
from copy_source import ignored_patterns

DELETABLE = ("data_files", "locations", "api_keys")
GENERATED = (
    ".env.example",
    "docs/settings.md",
    "docs/processing-record.md",
    "docs/api/",
    "deploy/prometheus/rules.yml",
    "deploy/grafana/dashboards/",
)
IGNORED = (*ignored_patterns(), ".git")
# The whole suite takes minutes for each feature: these parts iterate over all features.
PARTS = "tests/guards tests/privacy tests/contract tests/monitoring/test_commands.py tests/platform/database"
# Everything but the other example features and the running programs.
SUITE = (
    f"{PARTS} tests/attacks tests/idempotency tests/accounts tests/admin tests/audit tests/encryption_keys "
    "tests/monitoring tests/platform"
)

# A feature with one public route and its test: the smallest one that passes all checks.
ADDED_FILES = {
    "app/greetings/__init__.py": '''"""Greetings: a minimal feature."""

from __future__ import annotations

from app.greetings.views import blueprint
from app.platform.feature import Feature

FEATURE = Feature(name="greetings", blueprints=(blueprint,), scopes=("greetings:read",))
''',
    "app/greetings/schemas.py": '''"""Schemas of greetings."""

from __future__ import annotations

from marshmallow import Schema, fields


class Greeting(Schema):
    """A greeting."""

    text = fields.String(required=True, metadata={"example": "Hello"})
''',
    "app/greetings/views.py": '''"""Routes of greetings."""

from __future__ import annotations

from app.greetings.schemas import Greeting
from app.platform.api.blueprints import Blueprint
from app.platform.api.rate_limits import rate_limit
from app.platform.security.access import login_or_api_key
from app.platform.telemetry.objectives import READ, objective

blueprint = Blueprint("greetings", __name__, description="Greetings.")


@blueprint.get("/greeting")
@rate_limit("RATELIMIT_READ")
@objective(READ)
@login_or_api_key("greetings:read")
@blueprint.response(200, Greeting())
def greeting() -> dict[str, str]:
    """Return a greeting."""
    return {"text": "Hello"}
''',
    "tests/greetings/__init__.py": "",
    "tests/greetings/route_calls.py": '''"""Calls of the routes of greetings (see tests/route_calls.py)."""

from __future__ import annotations

from tests.route_calls import API, RouteCaller


def call_routes(caller: RouteCaller) -> None:
    """Call every route of greetings."""
    caller.call("GET", f"{API}/greeting", caller.user())
''',
    "tests/greetings/test_views.py": '''"""The greeting route."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from app.accounts.models import User
from tests.accounts.factory import bearer


def test_greeting_is_returned(app: Flask, client: FlaskClient, user: User) -> None:
    response = client.get("/api/v1/greeting", headers=bearer(app, user))

    assert response.json == {"text": "Hello"}
''',
}


class EditedService:
    """A copy of a bake that a test edits; runs its commands in the shared virtual environment."""

    def __init__(self, bake: Path, folder: Path, venv: Path, mypy_cache: Path) -> None:
        """Copy the bake to `folder`."""
        self._bake, self.folder, self._venv, self._mypy_cache = bake, copy_service(bake, folder), venv, mypy_cache

    def make(self, *targets: str) -> None:
        """Run Makefile targets."""
        run(["make", f"VENV={self._venv}", *targets], self.folder, self._environment())

    def flask(self, *arguments: str) -> None:
        """Run a flask command, with the settings of the bake's .env."""
        run([f"{self._venv}/bin/flask", "--app", "wsgi", *arguments], self.folder, self._environment())

    def regenerate(self) -> None:
        """Generate the files that the declarations of the features determine."""
        self.make("settings", "openapi", "record", "BREAKING=yes")
        self.flask("slo", "rules")
        self.flask("slo", "dashboard")

    def touched(self, feature: str) -> set[str]:
        """Return the files that differ from the bake, except the folders of the feature and generated files."""
        before, after = _digests(self._bake), _digests(self.folder)
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        excluded = (f"app/{feature}/", f"tests/{feature}/", *GENERATED)
        return {path for path in changed if not path.startswith(excluded)}

    def _environment(self) -> dict[str, str]:
        path = f"{self._venv}/bin{os.pathsep}{os.environ['PATH']}"
        return clean_environment(PATH=path, MYPY_CACHE_DIR=str(self._mypy_cache))


def _digests(root: Path) -> dict[str, str]:
    files = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    return {
        str(name): hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if not any(fnmatch(part, pattern) for part in name.parts for pattern in IGNORED)
    }


def _edit_list(service: EditedService, old: str, new: str) -> None:
    file = service.folder / "app" / "features.py"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def _allow_drop(service: EditedService) -> None:
    """Say in the newest revision that it drops tables on purpose."""
    revision = max((service.folder / "migrations" / "versions").glob("*.py"), key=lambda file: file.stat().st_mtime)
    exclusion = "# squawk-exclude: ban-drop-table, require-concurrent-index-deletion - no release uses the table\n"
    revision.write_text(exclusion + revision.read_text(encoding="utf-8"), encoding="utf-8")


def _listed_files(service: EditedService, change: str, feature: str) -> set[str]:
    """Return the files that docs/map.md lists for a change, except the folders of the feature."""
    text = (service.folder / "docs" / "map.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| {change} \| (.*?) \|", text, re.MULTILINE)
    listed = {path.replace("<feature>", feature) for path in re.findall(r"`([\w/<>.]+)`", row)}
    listed |= {"migrations/versions/"} if "a revision" in row else set()
    return {path for path in listed if not path.startswith((f"app/{feature}/", f"tests/{feature}/"))}


EditService = Callable[[], EditedService]


@pytest.fixture
def edit_service(bake_service: BakeFactory, service_venv: Path, mypy_cache: Path, tmp_path: Path) -> EditService:
    """Copies a bake, to be edited."""
    return lambda: EditedService(bake_service(), tmp_path / "service", service_venv, mypy_cache)


@pytest.mark.fault("F45")
@pytest.mark.req("T8")
@pytest.mark.parametrize("feature", DELETABLE)
def test_feature_is_deleted_with_folder_and_line(edit_service: EditService, feature: str) -> None:
    service = edit_service()
    service.flask("db", "upgrade")

    shutil.rmtree(service.folder / "app" / feature)
    shutil.rmtree(service.folder / "tests" / feature)
    _edit_list(service, f'    "{feature}",\n', "")
    service.flask("db", "migrate", "-m", f"drop {feature}")
    _allow_drop(service)
    service.flask("db", "upgrade")
    service.flask("db", "check")
    service.regenerate()

    touched = {re.sub(r"(migrations/versions/).*", r"\1", path) for path in service.touched(feature)}
    assert touched == _listed_files(service, "deleted feature", feature)
    assert len(touched) <= 2
    service.make("check")
    service.make("test-sqlite", f"ARGS={SUITE if feature == DELETABLE[-1] else PARTS}")


@pytest.mark.fault("F44")
@pytest.mark.req("T8")
def test_feature_is_added_with_folder_and_line(edit_service: EditService) -> None:
    service = edit_service()

    for path, content in ADDED_FILES.items():
        (service.folder / path).parent.mkdir(exist_ok=True)
        (service.folder / path).write_text(content, encoding="utf-8")
    _edit_list(service, '    "admin",\n', '    "admin",\n    "greetings",\n')
    service.regenerate()

    touched = service.touched("greetings")
    assert touched == _listed_files(service, "new feature", "greetings")
    assert len(touched) <= 2
    service.make("check")
    service.make("test-sqlite", f"ARGS=tests/greetings {PARTS}")
