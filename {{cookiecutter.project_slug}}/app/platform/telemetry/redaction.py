"""Redaction: removes secrets and personal data from everything that leaves the service.

It runs last, on the finished text, so it covers values from every source: messages, arguments, extra fields and
tracebacks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from app.platform.web.caller import KEY_PREFIX

REDACTED = "***"
MIN_SECRET_LENGTH = 4  # shorter secrets would redact common words

SENSITIVE_WORDS = (
    *("password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key"),
    *("authorization", "cookie"),
)
SENSITIVE_NAMES = "|".join(SENSITIVE_WORDS)
SENSITIVE = re.compile(f"(?i){SENSITIVE_NAMES}")
SCHEMES = "basic|bearer|token|apikey|digest|negotiate|ntlm|dpop"  # of an Authorization header, before the credentials
ASSIGNMENT = re.compile(
    rf"(?i)((?:{SENSITIVE_NAMES})[a-z_-]*\\*[\"']?\s*[:=]\s*\\*[\"']?(?:(?:{SCHEMES})\s+)?)[^\s\"'\\,;&}}]+"
)
# Groups of digits, such as a coordinate or a phone number; "3rd", an address or a date is a text.
NUMBER = r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?:[ ()/-]{1,3}\d+)*(?![\w+-]|[.:/]\w)"
# (trigger substring, pattern): the pattern runs only if the substring occurs. Most texts have no trigger, and to run
# all patterns on them would cost a line 170 µs instead of 15.
PATTERNS = (
    ("bearer", re.compile(r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]+")),
    ("@", re.compile(r"(://[^/\s\"'@:]*:)[^@\s\"'/]+(?=@)")),
    (":", ASSIGNMENT),
    ("=", ASSIGNMENT),
    (KEY_PREFIX, re.compile(rf"({KEY_PREFIX}[a-z0-9]" r"{8}_)[A-Za-z0-9_-]+")),  # an API key; its prefix is not secret
    ("eyj", re.compile(r"()\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")),  # a JWT
    ("@", re.compile(r"()[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")),  # an e-mail address
)
# Every text with something to redact contains one of these, or a personal field, or a secret of the settings.
TRIGGERS = (*SENSITIVE_WORDS, *dict.fromkeys(trigger for trigger, pattern in PATTERNS if pattern is not ASSIGNMENT))


@lru_cache(maxsize=1024)
def is_sensitive(name: str) -> bool:
    """Whether the value of a field with this name must be redacted."""
    return SENSITIVE.search(name) is not None


def _left_boundary(name: str) -> str:
    """Return a pattern to append to a name: it rejects a name that is the end of a longer word.

    The escape of a control character before the name does not count as part of the word.
    """
    return rf"(?:(?<![a-z0-9_]{name})|(?<=\\[bfnrt]{name})|(?<=\\u\w\w\w\w{name})|(?<=\\x\w\w{name}))"


def _personal_trigger(name: str) -> re.Pattern[str]:
    """Return a pattern that may match in lower-case JSON if the field occurs; its literal start makes it fast."""
    escaped = re.escape(name.lower())
    return re.compile(rf"{escaped}{_left_boundary(escaped)}[\\\"'\s:=]")


def _personal_pattern(name: str) -> re.Pattern[str]:
    """Return a pattern that matches `name: value` and `name=value`, quoted or not.

    A quoted value ends at the quote and a number after its digits. Any other value ends at a delimiter, after `=` also
    at a space.
    """
    escaped = re.escape(name)
    return re.compile(
        rf"(?i)({escaped}{_left_boundary(escaped)}\\*[\"']?\s*(?:(:?=+>?)|:)\s*\\*[\"']?)(?=\S)"
        rf"(?:(?<=\")[^\"\\\n]+|(?<=')[^'\\\n]+|{NUMBER}|(?(2)[^\s\"'\\,;&}}]+|[^\"'\\,;&}}\n]+))"
    )


class Redactor:
    """Redacts the listed secrets, credentials of any kind, e-mail addresses and the personal fields of the features."""

    def __init__(self, secrets: Iterable[str], personal_fields: Iterable[str] = ()) -> None:
        longest_first = sorted(
            {secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH}, key=len, reverse=True
        )
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._personal = frozenset(name.lower() for name in personal_fields)
        self._patterns = (*PATTERNS, *((name, _personal_pattern(name)) for name in sorted(self._personal)))
        self._personal_triggers = [(name, _personal_trigger(name)) for name in sorted(self._personal)]
        self._secrets_in_json = [json.dumps(secret, ensure_ascii=False)[1:-1] for secret in longest_first]
        self._redact_name = lru_cache(maxsize=1024)(self._redact_text)  # the same names recur

    def __call__(self, value: Any) -> Any:
        """Return the value with every text in it redacted; the result contains JSON types only."""
        match value:
            case None | bool() | int() | float():
                return value
            case datetime():
                return value.isoformat()
            case Mapping():
                return {
                    self._redact_name(str(name)): self._redact_item(str(name), item) for name, item in value.items()
                }
            case list() | tuple() | set():
                return [self(item) for item in value]
            case _:
                return self._redact_text(str(value))

    def may_contain_secrets(self, line: str) -> bool:
        """Whether a line of JSON may contain something to redact; most lines do not, and this check is fast."""
        if not line.isascii():  # JSON and Unicode have several spellings of other letters
            return True
        lowered = line.lower()
        for trigger in TRIGGERS:  # any() with a generator takes twice as long
            if trigger in lowered:
                return True
        for name, pattern in self._personal_triggers:  # common keys contain short names, as "message" contains "age"
            if name in lowered and pattern.search(lowered):
                return True
        for secret in self._secrets_in_json:  # noqa: SIM110 - likewise
            if secret in line:
                return True
        return False

    def _redact_item(self, name: str, value: Any) -> Any:
        if name.lower() in self._personal or (isinstance(value, str) and is_sensitive(name)):
            return REDACTED
        return self(value)

    def _redact_text(self, text: str) -> str:
        if self._secrets:
            text = self._secrets.sub(REDACTED, text)
        lowered = text.lower()
        for trigger, pattern in self._patterns:
            if trigger in lowered:
                text = pattern.sub(rf"\g<1>{REDACTED}", text)
        return text
