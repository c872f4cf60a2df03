"""Scenarios of overload. Each is a context manager: the overload lasts as long as its block.

It yields a flood, whose accepted requests are compared with the rows that they created, or None.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.overload.requests import Flood, FloodRequest, flood, json_request, upload_request
from benchmarks.run import BenchmarkRun
from benchmarks.servers import Server
from benchmarks.users import PASSWORD, USER_COUNT

MEGABYTE = 1_000_000
SPOOL_MEGABYTES = 16
LOGIN, BATCH, LOCATIONS = "/api/v1/auth/login", "/api/v1/locations/batch", "/api/v1/locations"
POSITION = {"latitude": 48.2, "longitude": 16.4}


@dataclass
class Target:
    """The service under overload: `port` is that of the proxy if there is one."""

    run: BenchmarkRun
    server: Server
    port: int

    @property
    def token(self) -> str:
        """The token of the user who causes the overload; probes have another one."""
        return self.server.tokens[1]


Overload = Callable[[Target], AbstractContextManager[Flood | None]]


@dataclass(frozen=True)
class Scenario:
    """An overload, and the table of the rows that accepted requests create."""

    name: str
    overload: Overload
    table: str = ""
    proxy: bool = False
    small_spool: bool = False


@contextmanager
def login_flood(target: Target, email: str) -> Iterator[Flood]:
    """48 clients sign in; `email` has a placeholder for a number."""
    accounts = [{"email": email.format(number), "password": PASSWORD} for number in range(USER_COUNT)]
    with flood(target.port, 48, [json_request(LOGIN, account) for account in accounts]) as result:
        yield result


def unknown_users(target: Target) -> AbstractContextManager[Flood]:
    """Sign in as users that do not exist."""
    return login_flood(target, "unknown-{}@example.com")


def known_users(target: Target) -> AbstractContextManager[Flood]:
    """Sign in as users with the correct password."""
    return login_flood(target, "benchmark-{}@example.com")


@contextmanager
def junk_bodies(target: Target) -> Iterator[Flood]:
    """16 clients send bodies of 1 MB: no JSON, a list of 333,000 empty objects, and an object without a list."""
    bodies = [
        b"x" * MEGABYTE,
        b'{"locations": [' + b"{}," * 333_000 + b"{}]}",
        b'{"email": "' + b"y" * MEGABYTE + b'"}',
    ]
    headers = json_request(BATCH, {}, target.token).headers
    with flood(target.port, 16, [FloodRequest("POST", BATCH, body, headers) for body in bodies]) as result:
        yield result


@contextmanager
def uploads(target: Target) -> Iterator[Flood]:
    """16 clients upload files of 10 MB; two of them fill the folder for uploads in progress."""
    content = b"a,b\n" + b"1,2\n" * (10 * MEGABYTE // 4)
    with flood(target.port, 16, [upload_request(content, target.token)]) as result:
        yield result


@contextmanager
def frozen_database(target: Target) -> Iterator[Flood]:
    """PostgreSQL is stopped with SIGSTOP while 16 clients save positions."""
    with flood(target.port, 16, [json_request(LOCATIONS, POSITION, target.token)]) as result:
        target.run.environment.postgres.pause()
        try:
            yield result
        finally:
            target.run.environment.postgres.resume()


@contextmanager
def full_redis(target: Target) -> Iterator[Flood]:
    """Redis rejects every write because its memory is full, while 16 clients save positions."""
    with redis.Redis.from_url(target.run.environment.redis.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        try:
            with flood(target.port, 16, [json_request(LOCATIONS, POSITION, target.token)]) as result:
                yield result
        finally:
            client.config_set("maxmemory", "0")


@contextmanager
def slow_clients(target: Target) -> Iterator[None]:
    """One address holds 400 idle connections and 24 requests whose body does not arrive."""
    head = f"POST {LOGIN} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with ExitStack() as clients:
        for _ in range(400):
            clients.enter_context(_connect(target.port))
        for number in range(24):
            length = ("Content-Length: 20000", "Content-Length: 1000000", "Transfer-Encoding: chunked")[number % 3]
            client = clients.enter_context(_connect(target.port))
            client.sendall(f"{head}{length}\r\n\r\n7\r\n{{".encode())
        yield None


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


SCENARIOS = (
    Scenario("login flood, unknown users", unknown_users),
    Scenario("login flood, known users", known_users, table="user_sessions"),
    Scenario("1 MB bodies of junk", junk_bodies),
    Scenario("uploads fill the spool disk", uploads, table="data_files", small_spool=True),
    Scenario("frozen database", frozen_database, table="user_locations"),
    Scenario("full Redis", full_redis, table="user_locations"),
    Scenario("400 idle connections, 24 slow bodies: nginx", slow_clients, proxy=True),
    Scenario("400 idle connections, 24 slow bodies: direct", slow_clients),
)


@contextmanager
def spool_folder(folder: Path) -> Iterator[list[str]]:
    """Yield the start of a command whose TMPDIR is full after `SPOOL_MEGABYTES`.

    A small file system if this user may mount one, otherwise a limit on the size of files.
    """
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SPOOL_MEGABYTES}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        limit = "" if mounted else "ulimit -f 4096; "
        yield ["bash", "-c", f'{limit}exec "$@"', "bash", "env", f"TMPDIR={folder}"]
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)
