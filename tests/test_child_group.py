"""A command and its family: gone when the block is left, whenever somebody asks for it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import child_group
import pytest

FAMILY = ["sh", "-c", "sleep 60 & sleep 60"]


def test_the_whole_family_ends_with_the_block(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, child_group.child_group(FAMILY, log) as child:
        assert child_group.is_alive(child.pid)

    assert not child_group.is_alive(child.pid)


@pytest.mark.req("T6")
def test_a_request_to_stop_that_comes_while_the_child_is_born_ends_it_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    born: list[subprocess.Popen[bytes]] = []

    def start_and_be_interrupted(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        born.append(popen(command, **options))  # type: ignore[call-overload]
        os.kill(os.getpid(), signal.SIGINT)
        return born[0]

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start_and_be_interrupted)

    with (tmp_path / "log").open("wb") as log, pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with child_group.child_group(FAMILY, log):
            pytest.fail("the block was entered")

    assert not child_group.is_alive(born[0].pid)
