"""Print the path of the Python for the benchmark's environments: `python benchmarks/interpreter.py`.

It is the Python version of a default bake (the first in cookiecutter.json), from PATH or from pyenv. If the machine has
no such Python, it is the running one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

COOKIECUTTER_JSON = Path(__file__).parents[1] / "cookiecutter.json"
PROBE = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"  # what `python -m venv` needs


def default_version() -> str:
    """Return the Python version of a default bake, such as "3.13"."""
    version: str = json.loads(COOKIECUTTER_JSON.read_text(encoding="utf-8"))["python_version"][0]
    return version


def find_python(version: str) -> str:
    """Return the path of a Python of this version that can make virtual environments, or else the running Python."""
    return next((path for path in _candidates(version) if _is_usable(path, version)), sys.executable)


def _candidates(version: str) -> Iterator[str]:
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = pyenv.glob(f"versions/{version}*/bin/python{version}")
    yield from map(str, sorted(found, key=_patch_release, reverse=True))


def _patch_release(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parts[-3])]


def _is_usable(python: str, version: str) -> bool:
    # A pyenv shim is on PATH even where its version is not selected; it then fails.
    try:
        done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version


if __name__ == "__main__":
    print(find_python(default_version()))
