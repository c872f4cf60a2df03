"""Copies the service's source, as it stands and without what work left in it: `python scripts/source_copy.py TO`."""

import runpy
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE_NAME = "{{cookiecutter.project_slug}}"


def ignored() -> tuple[str, ...]:
    """Return the patterns of files that are nobody's source: the bake drops the same ones."""
    hook = runpy.run_path(str(ROOT / "hooks" / "post_gen_project.py"))
    return (*hook["LEFT_BY_WORK"], ".env")


def copy_source(to: Path) -> Path:
    """Copy the source folder to `to`, in place of what is there, and return `to`."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(ROOT / SOURCE_NAME, to, ignore=shutil.ignore_patterns(*ignored()), symlinks=True)
    return to


if __name__ == "__main__":
    copy_source(Path(sys.argv[1]))
