"""Checks of secrets: long, random, no placeholder, and each used for one purpose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

MIN_LENGTH = 32  # characters; 24 random bytes in base64 make 192 bits
# A random secret of the least length and the smallest usual alphabet, 32 hexadecimal digits, has about 14 different
# characters and 30 different groups of three; fewer than these limits occur in less than one of a million.
MIN_CHARACTERS, MIN_GROUPS, GROUP = 8, 17, 3
MAX_STEP_SHARE = 0.5  # of neighbours with the same distance, as in abcdef or 987654
PLACEHOLDER = re.compile(
    r"(change|replace)[-_ ]?(me|this|it)|place[-_ ]?holder|example|insecure|your[-_ ]|(my|super|top)[-_ ]?secret|<.*>$"
    r"|pass[-_ ]?word|secret[-_ ]?key|qwerty|asdfgh|deadbeef|lorem[-_ ]?ipsum"
    r"|^(dev|test|secret|default)([-_ ]?(key|secret|token))?$",
    re.IGNORECASE,
)
HOW_TO_GENERATE = 'Generate one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'


def secret_problem(value: str) -> str:
    """Return what is wrong with a secret, as the predicate of a sentence; empty if it is strong enough."""
    if PLACEHOLDER.search(value):
        return f"is a placeholder. {HOW_TO_GENERATE}"
    if len(value) < MIN_LENGTH:
        return f"has {len(value)} characters and needs at least {MIN_LENGTH}. {HOW_TO_GENERATE}"
    if _is_predictable(value):
        return f"repeats characters or follows a pattern, so it can be guessed. {HOW_TO_GENERATE}"
    return ""


def _is_predictable(value: str) -> bool:
    groups = {value[start : start + GROUP] for start in range(len(value) - GROUP + 1)}
    steps = Counter(ord(after) - ord(before) for before, after in pairwise(value))
    most_common = max(steps.values()) / (len(value) - 1)
    repeats = any(value.startswith(value[period:]) for period in range(1, len(value) // 2 + 1))
    return len(set(value)) < MIN_CHARACTERS or len(groups) < MIN_GROUPS or most_common > MAX_STEP_SHARE or repeats


def shared_secret_problems(secrets: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield a problem for each pair of the (setting, value) pairs with equal or almost equal values."""
    for (name, value), (other, other_value) in combinations(secrets, 2):
        if _is_similar(value, other_value):
            yield f"{other} has the value of {name}, or almost: a leak of one reveals the other. {HOW_TO_GENERATE}"


def _is_similar(one: str, other: str) -> bool:
    """Whether two secrets begin or end alike for at least half of their length, as key1 and key2 do."""
    half = min(len(one), len(other)) // 2
    return one[:half] == other[:half] or one[-half:] == other[-half:]
