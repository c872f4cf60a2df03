"""The client address of a request: behind trusted proxies the address that they report, in one form per client."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from flask import request

from app.platform.web.request_state import request_state

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

MAX_LENGTH = 64  # of an address with brackets, zone and port
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address

# Prefix lengths, and how many times the allowance of one address the network has. A subscriber of IPv6 owns a /64,
# often a /56, a company a /48. The addresses of an IPv4 /24 belong to different subscribers, or to one that rents it.
NETWORKS = {4: ((32, 1), (24, 16)), 6: ((64, 1), (56, 4), (48, 16))}

# Only a proxy adds these; a client can forge them, which makes it look like one behind a proxy.
PROXY_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host", "Via")
ADDRESS_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


@dataclass(frozen=True)
class RequestOrigin:
    """The client address and the request id that the audit log records, and the header User-Agent."""

    address: str | None
    request_id: str | None
    user_agent: str | None = None


class ClientAddress:
    """WSGI middleware that sets `REMOTE_ADDR` to the address of the client, in its canonical form.

    `proxies`: how many proxies stand in front. Each appends an entry to `X-Forwarded-For`, so the entry of the first
    proxy is that many from the end. An entry that is no address counts as missing: the peer's address remains.
    """

    def __init__(self, wsgi_app: WSGIApplication, proxies: int) -> None:
        self._wsgi_app, self._proxies = wsgi_app, proxies
        self._warned = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Set the address and call the app."""
        environ["REMOTE_ADDR"] = self._forwarded(environ) or parse_address(environ.get("REMOTE_ADDR", "")) or ""
        return self._wsgi_app(environ, start_response)

    def _forwarded(self, environ: WSGIEnvironment) -> str | None:
        if not self._proxies:
            if not self._warned and any(name in environ for name in ADDRESS_HEADERS):
                self._warn(0)
            return None
        # Not werkzeug's ProxyFix: for it, a quotation mark from the client hides the entries of the proxies.
        entries = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(entries) >= self._proxies:
            return parse_address(entries[-self._proxies])
        if not self._warned and entries != [""]:
            self._warn(len(entries))
        return None

    def _warn(self, entries: int) -> None:
        """Log once per process: all clients of a proxy share one count until the setting is right."""
        self._warned = True
        logger.warning(
            "a request has a proxy's header with %d usable entries, and TRUSTED_PROXIES is %d: if a proxy stands in"
            " front, set it to the number of proxies; until then, all its clients count as one address",
            entries,
            self._proxies,
        )


def parse_address(text: str) -> str | None:
    """Return an address in canonical form, without port, brackets and zone; None if the text is no address.

    An IPv4 address that is written as an IPv6 address (mapped, RFC 4291 section 2.5.5.2, or NAT64) is returned as IPv4:
    otherwise all of them are in one /64.
    """
    return _parse_address(text) if len(text) <= MAX_LENGTH else None


@lru_cache(4096)
def _parse_address(text: str) -> str | None:
    host, bracket, _ = text.strip(' "').removeprefix("[").partition("]")  # [2001:db8::1]:443
    if not bracket and host.count(":") == 1:
        host = host.partition(":")[0]  # 203.0.113.8:50001
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address in NAT64:
        return str(ipaddress.IPv4Address(address.packed[-4:]))
    return str(address.ipv4_mapped or address)


@lru_cache(4096)
def networks(address: str) -> tuple[tuple[str, int], ...]:
    """Return the networks that an address counts for, the narrowest first, each with the factor of its allowance."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ((address, 1),)
    found = [
        (ipaddress.ip_network((address, length), strict=False), factor) for length, factor in NETWORKS[parsed.version]
    ]
    return tuple((str(network).removesuffix("/32"), factor) for network, factor in found)


def request_origin() -> RequestOrigin:
    """Return the origin of the current request."""
    return RequestOrigin(request.remote_addr or None, request_state().request_id, request.headers.get("User-Agent"))


def client_network() -> str:
    """Return the narrowest network of the client: its IPv4 address, or its /64."""
    return networks(request.remote_addr or "")[0][0]


def is_private_client() -> bool:
    """Whether the request came from a private address and not through a proxy."""
    if any(name in request.headers for name in PROXY_HEADERS):
        return False
    address = parse_address(request.remote_addr or "")
    return ipaddress.ip_address(address).is_private if address else request.remote_addr == ""  # a Unix socket has none
