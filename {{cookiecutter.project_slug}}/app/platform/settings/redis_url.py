"""Redis URLs, parsed once and strictly, and translated for redis-py and for Celery.

The two libraries read URLs differently: Celery verifies no certificate by default, needs another scheme for Unix
sockets, and fails on options that redis-py knows. So only what all consumers support is accepted.
"""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

REDIS_SCHEMES = ("redis", "rediss", "unix")
DEFAULT_PORT = 6379
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%\w+)?")
FILE_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
ENCODE = "Percent-encode special characters in the user name and the password: @ is %40, / is %2F, # is %23."


@dataclass(frozen=True)
class RedisUrl:
    """A Redis server and a database on it; `path` is the socket of the scheme `unix`."""

    scheme: str
    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    files: tuple[tuple[str, str], ...] = ()  # the certificates of rediss, by option

    @property
    def tls_options(self) -> dict[str, Any] | None:
        """The arguments of a TLS connection that verifies the certificate and the host name; None without TLS."""
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, **dict(self.files)} if self.scheme == "rediss" else None

    @property
    def client_options(self) -> dict[str, Any]:
        """The arguments of redis-py's client."""
        account = {"db": self.database, "username": self.username, "password": self.password}
        if self.scheme == "unix":
            return {"unix_socket_path": self.path, **account}
        return {
            "host": self.host,
            "port": self.port,
            "ssl": self.scheme == "rediss",
            **(self.tls_options or {}),
            **account,
        }

    @property
    def celery_url(self) -> str:
        """The URL for Celery, which takes `tls_options` from separate settings."""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        account = f"{quote(self.username or '', safe='')}{password}@" if self.username or password else ""
        if self.scheme == "unix":
            return f"redis+socket://{account}{quote(self.path)}?virtual_host={self.database}"
        host = f"[{quote(self.host, safe=':')}]" if ":" in self.host else self.host
        return f"{self.scheme}://{account}{host}:{self.port}/{self.database}"


def parse_redis_url(url: str) -> RedisUrl:
    """Parse a URL; raises `ValueError` with the predicate of a sentence, which contains no part of the URL."""
    try:
        parts = urlsplit(url)
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        raise ValueError(f"is not valid: {_form('redis')}. {ENCODE}") from None
    if "@" in parts.query:  # then a part of the password looks like options, which messages name
        raise ValueError(f"is not valid: {_form(parts.scheme)}. {ENCODE} ? is %3F.")
    if parts.scheme not in REDIS_SCHEMES:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in REDIS_SCHEMES)}.")
    options = _options(parts)
    username, password = (unquote(text or "") or None for text in (parts.username, parts.password))
    if parts.scheme == "unix":
        database = _database(options.get("db", ""))
        return RedisUrl("unix", path=_socket_path(parts), username=username, password=password, database=database)
    host = unquote(parts.hostname or "")
    if not port:
        raise ValueError("has an invalid port: it must be from 1 to 65535.")
    if parts.fragment or not HOST.fullmatch(host):
        raise ValueError(f"names no valid host: {_form(parts.scheme)}. {ENCODE}")
    database = _database(parts.path.removeprefix("/") or options.get("db", ""))
    return RedisUrl(parts.scheme, host, port, "", username, password, database, _files(options))


def redis_url_problem(url: str) -> str:
    """Return what is wrong with a Redis URL, as the predicate of a sentence; empty if every consumer can use it."""
    try:
        parse_redis_url(url)
    except ValueError as error:
        return str(error)
    return ""


def _form(scheme: str) -> str:
    return "it must look like " + (
        "unix:///run/redis.sock?db=0, with three slashes" if scheme == "unix" else f"{scheme}://:password@host:6379/0"
    )


def _options(parts: SplitResult) -> dict[str, str]:
    """Return the options of the URL; raises `ValueError` for unknown ones and for TLS without verification."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options.pop("ssl_cert_reqs", "required").lower() not in ("required", "cert_required"):
        raise ValueError(
            "has an ssl_cert_reqs other than required: a certificate that is not verified protects nothing."
        )
    if options.pop("ssl_check_hostname", "true").lower() not in ("true", "1", "yes"):
        raise ValueError("has ssl_check_hostname turned off: the certificate must be that of the host.")
    known = {"db", *(FILE_OPTIONS if parts.scheme == "rediss" else ())}
    if unknown := sorted(options.keys() - known):
        raise ValueError(f"has unknown options: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    return options


def _socket_path(parts: SplitResult) -> str:
    path = unquote(parts.path)
    if parts.fragment or parts.hostname or path in ("", "/"):
        raise ValueError(f"names no socket: {_form('unix')}. {ENCODE}")
    return path


def _database(text: str) -> int:
    if text and not re.fullmatch("[0-9]{1,5}", text):
        raise ValueError("names a database that is no number, like the 0 in redis://host:6379/0.")
    return int(text or 0)


def _files(options: dict[str, str]) -> tuple[tuple[str, str], ...]:
    files = tuple((option, options[option]) for option in FILE_OPTIONS if option in options)
    for option, path in files:
        if not os.access(path, os.R_OK):
            raise ValueError(f"has {option}={path}, which cannot be read.")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ValueError("has ssl_keyfile without ssl_certfile.")
    return files
