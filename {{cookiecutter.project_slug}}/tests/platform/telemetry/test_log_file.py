"""Several processes write and rotate one log file."""

from __future__ import annotations

import logging
import multiprocessing
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from app.platform.telemetry.log_file import SharedRotatingFileHandler

PROCESSES, LINES = 4, 500


def log_lines(path: str, process: int, barrier: Barrier) -> None:
    """Write lines from a process, after all processes have started."""
    logger = logging.getLogger("test")
    logger.setLevel(logging.INFO)
    logger.addHandler(SharedRotatingFileHandler(path, 10_000, 100))
    barrier.wait()
    for number in range(LINES):
        logger.info("process %d line %d %s", process, number, "x" * 100)


def kept_lines(path: Path) -> list[str]:
    return [line for file in path.parent.glob(f"{path.name}*") for line in file.read_text().splitlines()]


@pytest.mark.fault("F19")
@pytest.mark.req("S12")
def test_processes_lose_no_line_while_they_rotate(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    processes = [context.Process(target=log_lines, args=(str(path), number, barrier)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    found = Counter(line.rsplit(" ", 1)[0] for line in kept_lines(path))
    assert found == Counter(f"process {process} line {n}" for process in range(PROCESSES) for n in range(LINES))
    assert len(list(tmp_path.iterdir())) > 20
    assert max(file.stat().st_size for file in tmp_path.iterdir()) <= 10_000


def write(handler: SharedRotatingFileHandler, text: str) -> None:
    handler.handle(logging.LogRecord("test", logging.INFO, "", 0, text, (), None))


@pytest.mark.req("S12")
def test_only_the_newest_files_are_kept(tmp_path: Path) -> None:
    handler = SharedRotatingFileHandler(str(tmp_path / "app.log"), 10, 2)

    for number in range(5):
        write(handler, f"line {number}")

    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "app.log": "line 4\n",
        "app.log.1": "line 3\n",
        "app.log.2": "line 2\n",
    }


@pytest.mark.req("S12")
def test_line_above_the_maximum_size_is_kept(tmp_path: Path) -> None:
    handler = SharedRotatingFileHandler(str(tmp_path / "app.log"), 10, 2)

    write(handler, "a line of more than ten bytes")

    assert (tmp_path / "app.log").read_text() == "a line of more than ten bytes\n"


@pytest.mark.req("S12")
def test_lines_follow_a_rotation_by_another_program(tmp_path: Path) -> None:
    handler = SharedRotatingFileHandler(str(tmp_path / "app.log"), 1000, 2)
    write(handler, "before")

    (tmp_path / "app.log").rename(tmp_path / "moved")
    write(handler, "after")

    assert (tmp_path / "app.log").read_text() == "after\n"
