"""Reads JSON columns: one value that is nested too deeply would otherwise fail every read of its row."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

MAX_DEPTH = 64  # those who process a value use the stack for each level
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKETS = re.compile(r"[\[\]{}]")


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text; `{"unreadable": <SHA-256 of the text>}` if it is invalid, or nested too deeply.

    The service writes no such text. It can come only from someone else with access to the database.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        decoded = content.decode()
        return _unreadable(content) if _is_deep(decoded) else json.loads(decoded)
    except (ValueError, RecursionError):
        return _unreadable(content)


def _unreadable(content: bytes) -> dict[str, str]:
    return {"unreadable": hashlib.sha256(content).hexdigest()}


def _is_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in BRACKETS.findall(STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False
