"""Bake the template into a folder: `python scripts/bake.py FOLDER [ANSWER=VALUE]...`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from process_group import process_group

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"


class BakeError(Exception):
    """cookiecutter rejected an answer or failed; the message is its output."""


def run_cookiecutter(template: Path, work_folder: Path, answers: Sequence[str]) -> str:
    """Bake `template` into a new folder under `work_folder` and return cookiecutter's output.

    Missing answers get the template's defaults; the user's own cookiecutter configuration is not read.
    """
    config = work_folder / "cookiecutter.yaml"
    config.write_text(
        f'replay_dir: "{work_folder}/replay"\ncookiecutters_dir: "{work_folder}/templates"\n', encoding="utf-8"
    )
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "--config-file", str(config)]
    command += ["--output-dir", str(work_folder / "baked"), str(template), *answers]
    log = work_folder / "cookiecutter.log"
    with log.open("wb") as log_file, process_group(command, log_file) as process:
        status = process.wait()
    output = log.read_text(encoding="utf-8", errors="replace")
    if status:
        raise BakeError(output)
    return output


def bake(folder: Path, answers: Sequence[str] = (), *, template: Path = ROOT) -> str:
    """Bake into `folder` and return cookiecutter's output; raise BakeError if it fails.

    The new bake replaces the content of `folder`, except `.venv`: a second bake needs no installation. The bake is
    made in a temporary folder and then moved, so a failed bake leaves `folder` unchanged.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bake-") as name:
        work_folder = Path(name)
        output = run_cookiecutter(template, work_folder, answers)
        (baked,) = (work_folder / "baked").iterdir()
        if (folder / ".venv").exists():
            (folder / ".venv").rename(baked / ".venv")
        shutil.rmtree(folder, ignore_errors=True)
        baked.rename(folder)
    return output


def main() -> None:
    """Bake with the arguments of the command line and print the next command."""
    folder, *answers = sys.argv[1:]
    try:
        bake(Path(folder), answers)
    except BakeError as error:
        sys.exit(str(error))
    print(f"Baked into {folder}. Next: make -C {folder} check test run")


if __name__ == "__main__":
    main()
