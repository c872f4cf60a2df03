"""Rules for the files of the repository. Each function returns the problems; a problem names the file and the fix."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask

from app.platform.database.base import Model
from app.platform.feature import Feature
from app.platform.settings.fields import declarations

MAX_LINES = 300
MAX_FACTORY_LINES = 60
FOLDERS = ("app", "monitoring", "tests", "migrations", "scripts")

# Words of features that also have another meaning, so the platform may use them.
GENERIC_WORDS = {
    "api_keys": "a kind of credentials; a feature registers their lookup",
    "encryption_keys": "a property of the platform's settings",
}

DOCUMENTED_FOLDERS = ("app", "scripts", "deploy", "docs", "migrations", "tests")
OPTIONAL_PATHS = ("deploy/kubernetes", "deploy/nginx", "deploy/traefik", "docs/api")
NAMED_FILE = re.compile(rf"`((?:{'|'.join(DOCUMENTED_FOLDERS)})/[\w./-]+)")
NAMED_PANEL = re.compile(r'"([^"]+)"')


def size_problems(root: Path) -> list[str]:
    """Return the Python files that are too long to read at once, and the factory if it exceeds a screen."""
    limits = {path: MAX_LINES for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))}
    limits[root / "app" / "__init__.py"] = MAX_FACTORY_LINES
    return [
        f"{path.relative_to(root)} has {lines} lines: split the file by responsibility: at most {limit} lines,"
        " and a descriptive name for each part"
        for path, limit in limits.items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > limit
    ]


def feature_patterns(features: Sequence[Feature]) -> dict[str, str]:
    """Return the regular expressions of what belongs to one feature; expression to feature.

    English words (a feature `messages`, a model `User`, a path `/tests`) match only where they refer to the feature: as
    `app.messages`, as `/api/v1/tests`, and a personal field as a quoted name. Other words match in any case.
    """
    patterns: dict[str, str] = {}
    for feature in features:
        for pattern in _patterns(feature):
            patterns.setdefault(rf"(?<![\w-])(?i:{pattern})(?![\w-])", feature.name)
    return patterns


def _patterns(feature: Feature) -> Iterator[str]:
    yield rf"app(?:[./]| import ){feature.name}"
    for field in feature.personal_fields:
        yield _word(field) if "_" in field else rf"(?<=[\"'`]){field}(?=[\"'`])"
    for path in _paths(feature):
        yield _word(path) if re.search("[/-]", path) else rf"/api(?:/v[0-9]+)?/{path}"
    yield from (_word(word) for word in _words(feature) if word not in GENERIC_WORDS)
    yield from (f"(?-i:{name})" for model in _models(feature) if re.search("[a-z][A-Z]", name := model.__name__))


def _word(word: str) -> str:
    """Return the expression for a word: `audit_logs` also matches `audit-logs` and `AuditLogs`."""
    return re.escape(word).replace("_", "[_-]?")


def _words(feature: Feature) -> Iterator[str]:
    """Yield the words of a feature that have no meaning elsewhere: each contains a separator."""
    yield from (declarations(feature.settings) if feature.settings else ())
    yield from feature.scopes
    yield from feature.schedules
    yield from feature.request_headers
    yield from (name for name in (feature.name, *(model.__tablename__ for model in _models(feature))) if "_" in name)


def _models(feature: Feature) -> list[type[Any]]:
    classes = [mapper.class_ for mapper in Model.registry.mappers]
    return [model for model in classes if model.__module__.startswith(f"app.{feature.name}.")]


def _paths(feature: Feature) -> set[str]:
    """Return the constant beginnings of the feature's URL paths below `/api/<version>/`."""
    app = Flask("paths", static_folder=None)
    for blueprint in feature.blueprints:
        app.register_blueprint(blueprint)
    return {path for rule in app.url_map.iter_rules() if (path := rule.rule.partition("<")[0].strip("/"))}


def platform_problems(root: Path, patterns: Mapping[str, str]) -> list[str]:
    """Return the lines of the platform, the factory and `monitoring` that name something of a feature."""
    features = list(patterns.values())
    pattern = re.compile("|".join(f"({text})" for text in patterns))
    return [
        f"{path.relative_to(root)}:{number} names {found[0]}, which belongs to the feature"
        f" {features[(found.lastindex or 1) - 1]}: declare it in the Feature object of that feature, or use a neutral"
        " example such as `items`; if the word has another meaning here, add it to GENERIC_WORDS with the meaning"
        for path in _platform_files(root)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for found in pattern.finditer(line)
    ]


def _platform_files(root: Path) -> Iterator[Path]:
    yield root / "app" / "__init__.py"
    for folder in ("app/platform", "monitoring"):
        yield from (path for path in sorted((root / folder).rglob("*")) if path.suffix in (".py", ".html", ".js"))


def placement_problems(root: Path) -> list[str]:
    """Return the modules directly in `app`, and the folders of `app` that are no package."""
    modules = {path.name for path in (root / "app").glob("*.py")} - {"__init__.py", "features.py"}
    folders = {path.parent.name for path in (root / "app").glob("*/*.py") if not (path.parent / "__init__.py").exists()}
    return [
        f"app/{name} belongs to no feature: put it into a feature or into app/platform" for name in sorted(modules)
    ] + [
        f"app/{name} has no __init__.py: put its modules into a feature or into app/platform, or make it a feature"
        for name in sorted(folders)
    ]


def registration_problems(root: Path, features: Sequence[Feature]) -> list[str]:
    """Return the folders of `app` that are no registered feature, and the features without such a folder."""
    folders = {path.parent.name for path in (root / "app").glob("*/__init__.py")} - {"platform"}
    names = {feature.name for feature in features}
    return [
        f'app/{name} is not registered: add "{name}" to PACKAGES in app/features.py' for name in sorted(folders - names)
    ] + [
        f"app/features.py registers {name}: rename the folder or `Feature.name` so that app/{name} exists"
        for name in sorted(names - folders)
    ]


def documentation_problems(root: Path) -> list[str]:
    """Return the files that the documentation names and that do not exist."""
    return [
        f"{page.relative_to(root)} names {name}, which does not exist: correct the path"
        for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]
        for name in sorted(set(NAMED_FILE.findall(page.read_text(encoding="utf-8"))))
        if not name.startswith(OPTIONAL_PATHS) and not (root / name).exists()
    ]


def panel_problems(root: Path) -> list[str]:
    """Return the quoted texts of the runbook that are not the title of a dashboard panel."""
    dashboards = [json.loads(path.read_text("utf-8")) for path in (root / "deploy/grafana/dashboards").glob("*.json")]
    titles = {panel["title"] for dashboard in dashboards for panel in dashboard["panels"]}
    quoted = set(NAMED_PANEL.findall((root / "docs" / "runbook.md").read_text(encoding="utf-8")))
    return [
        f'docs/runbook.md quotes "{title}", but no dashboard has such a panel: correct the title'
        for title in sorted(quoted - titles)
    ]
