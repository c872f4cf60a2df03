"""process_group terminates a command and its child processes, also after a signal during start."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import process_group
import pytest

COMMAND_WITH_CHILD = ["sh", "-c", "sleep 60 & sleep 60"]


def test_child_processes_end_with_the_block(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, process_group.process_group(COMMAND_WITH_CHILD, log) as process:
        assert process_group.group_exists(process.pid)

    assert not process_group.group_exists(process.pid)


@pytest.mark.req("T6")
def test_signal_during_start_terminates_the_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start_then_interrupt(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(command, **options))  # type: ignore[call-overload]  # forwards any arguments
        os.kill(os.getpid(), signal.SIGINT)
        return started[0]

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start_then_interrupt)

    with (tmp_path / "log").open("wb") as log, pytest.raises(KeyboardInterrupt):  # noqa: SIM117  # the inner block must not start
        with process_group.process_group(COMMAND_WITH_CHILD, log):
            pytest.fail("the block was entered")

    assert not process_group.group_exists(started[0].pid)
