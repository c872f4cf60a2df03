"""docs/map.md names every folder and platform module that exists, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.environments import ROOT

MAP = ROOT / "docs" / "map.md"
PLATFORM = Path("app/platform")
TOP_LEVEL = ("app/__init__.py", "app/features.py", "entrypoint.sh", "gunicorn.conf.py", "wsgi.py")


def mapped_paths(text: str) -> dict[str, str]:
    """Return the paths of the map, relative to the service, with their descriptions; a feature is `app/<feature>/`."""
    block = text.split("```")[1]
    lines = re.findall(r"^( *)([\w./<>]+/?) {2,}(.*(?:\n {20,}.*)*)", block, re.MULTILINE)
    return {f"{PLATFORM}/{path}" if indent else path: description for indent, path, description in lines}


def existing_paths(root: Path) -> set[str]:
    """Return the paths that the map must name."""
    folders = {f"{folder.name}/" for folder in root.iterdir() if folder.is_dir() and any(folder.rglob("*.*"))}
    kept = {folder for folder in folders if not folder.startswith((".", "_", "build", "instance", "app"))}
    layers = {f"{path.relative_to(root)}/" for path in (root / PLATFORM).iterdir() if (path / "__init__.py").exists()}
    modules = {str(path.relative_to(root)) for path in (root / PLATFORM).glob("[!_]*.py")}
    return kept | layers | modules | {"app/<feature>/", f"{PLATFORM}/", *TOP_LEVEL}


def problems(root: Path, text: str) -> list[str]:
    """Return how the map differs from the tree under `root`."""
    mapped, existing = mapped_paths(text), existing_paths(root)
    found = [f"docs/map.md does not name {path}: add a line" for path in sorted(existing - mapped.keys())]
    found += [f"docs/map.md names {path}, which does not exist" for path in sorted(mapped.keys() - existing)]
    for path, description in mapped.items():
        modules = [module.stem for module in (root / path).glob("[!_]*.py")] if path.startswith(f"{PLATFORM}/") else []
        words = set(re.findall(r"\w+", description))
        if path != f"{PLATFORM}/":
            found += [
                f"docs/map.md does not name {path}{module}.py: add it" for module in modules if module not in words
            ]
    return found


def test_map_matches_tree() -> None:
    assert problems(ROOT, MAP.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("  telemetry/ ", "  telemetries/ ", "docs/map.md does not name app/platform/telemetry/: add a line"),
        ("· redaction ·", "·", "docs/map.md does not name app/platform/telemetry/redaction.py: add it"),
        ("monitoring/  ", "monitors/  ", "docs/map.md names monitors/, which does not exist"),
    ],
)
def test_map_problems_are_found(old: str, new: str, problem: str) -> None:
    text = MAP.read_text(encoding="utf-8")
    assert old in text

    assert problem in problems(ROOT, text.replace(old, new, 1))
