"""Copy the service's source, unrendered and without build artefacts: `python scripts/copy_source.py FOLDER`."""

import runpy
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE_NAME = "{{cookiecutter.project_slug}}"


def ignored_patterns() -> tuple[str, ...]:
    """Return the patterns of files that are not source: those that a bake removes, and `.env`."""
    hook = runpy.run_path(str(ROOT / "hooks" / "post_gen_project.py"))
    return (*hook["BUILD_ARTEFACTS"], ".env")


def copy_source(target: Path) -> Path:
    """Replace `target` by a copy of the source folder, and return `target`."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / SOURCE_NAME, target, ignore=shutil.ignore_patterns(*ignored_patterns()), symlinks=True)
    return target


if __name__ == "__main__":
    copy_source(Path(sys.argv[1]))
