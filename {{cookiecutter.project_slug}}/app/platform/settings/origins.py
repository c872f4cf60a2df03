"""Origins for CORS: exact ones, and wildcards that stand for one whole label."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
PORT = "[1-9][0-9]{0,4}"
# As browsers send them (RFC 6454, section 6.2): lower case, no path, no default port, international names as xn--.
ORIGIN = re.compile(
    rf"(?P<scheme>https?)://"
    rf"(?P<wildcard>\*\.(?={LABEL}\.))?(?P<host>{LABEL}(?:\.{LABEL})*|\[[0-9a-f:.]+\])(?::(?P<port>{PORT}))?"
)
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535
FORM = "must look like https://app.example.org, or https://*.example.org for names with one more label"


def origin_problem(text: str) -> str:
    """Return what is wrong with an entry of `CORS_ORIGINS`, as the predicate of a sentence; empty if it is valid."""
    if text == "*" or _is_origin(text):
        return ""
    if text.lower() == "null":
        return "is the origin of sandboxed pages and local files, which can be anybody's. Remove it."
    if _is_origin(suggestion := _normalized(text)):
        return f"is not as browsers send it. Write {suggestion}."
    return f"is no origin. It {FORM}."


def origin_pattern(origin: str) -> re.Pattern[str]:
    """Return the expression of the `Origin` headers that a valid entry allows; `*.` stands for exactly one label."""
    start, wildcard, rest = origin.partition("*.")
    if not wildcard:
        return re.compile(rf"{re.escape(origin)}\Z")
    return re.compile(rf"{re.escape(start)}{LABEL}\.{re.escape(rest)}\Z")


def _is_origin(text: str) -> bool:
    found = ORIGIN.fullmatch(text)
    if found is None:
        return False
    port = int(found["port"] or 1)
    return port <= MAX_PORT and port != DEFAULT_PORTS[found["scheme"]]


def _normalized(text: str) -> str:
    """Return the scheme, host and port of a URL as browsers send them; empty if it is not valid."""
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError:  # also UnicodeError
        return ""
    host = f"[{host}]" if ":" in host else host
    shown = f":{port}" if port and port != DEFAULT_PORTS.get(parts.scheme) else ""
    return f"{parts.scheme}://{host}{shown}"
