"""Bakes into a folder, keeping its virtual environment: `python scripts/baking.py FOLDER [ANSWER=VALUE]...`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from child_group import child_group

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"


class NotBakedError(Exception):
    """cookiecutter refused or failed; the text is what it said."""


def run_cookiecutter(template: Path, into: Path, answers: Sequence[str]) -> str:
    """Bake `template` into a new folder under `into` and return what was said.

    Unanswered questions get the template's defaults, not those that somebody has set for themselves.
    """
    config = into / "cookiecutter.yaml"
    config.write_text(f'replay_dir: "{into}/replay"\ncookiecutters_dir: "{into}/templates"\n', encoding="utf-8")
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "--config-file", str(config)]
    command += ["--output-dir", str(into / "baked"), str(template), *answers]
    log = into / "cookiecutter.log"
    with log.open("wb") as output, child_group(command, output) as child:
        failed = child.wait()
    said = log.read_text(encoding="utf-8", errors="replace")
    if failed:
        raise NotBakedError(said)
    return said


def bake(folder: Path, answers: Sequence[str] = (), *, template: Path = ROOT) -> str:
    """Bake into `folder`, in place of what is there but for its .venv, so that a further bake is quick to try.

    The bake is made beside it and moved: a bake that fails leaves `folder` as it was. Returns what cookiecutter said.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".baking-") as name:
        scratch = Path(name)
        said = run_cookiecutter(template, scratch, answers)
        (baked,) = (scratch / "baked").iterdir()
        if (folder / ".venv").exists():
            (folder / ".venv").rename(baked / ".venv")
        shutil.rmtree(folder, ignore_errors=True)
        baked.rename(folder)
    return said


def main() -> None:
    """Bake as the command line says and tell how to go on."""
    folder, *answers = sys.argv[1:]
    try:
        bake(Path(folder), answers)
    except NotBakedError as error:
        sys.exit(str(error))
    print(f"Baked into {folder}. Go on with: make -C {folder} check test run")


if __name__ == "__main__":
    main()
