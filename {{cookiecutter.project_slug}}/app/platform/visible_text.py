"""Finds and removes invisible characters: with them, texts that look alike differ, or look like something else."""

from __future__ import annotations

import re
import unicodedata

# Unicode categories of characters that are invisible or reorder text: control, format, surrogate, line separators.
INVISIBLE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Characters of other categories that are invisible, too (property Default_Ignorable_Code_Point).
IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
# Joiners and styles have a meaning only after a visible character, and joiners only before another one.
MISPLACED_JOINER = re.compile("(^|\\s)[\u200c\u200d\ufe0f]|[\u200c\u200d](\\s|$)")
JOINERS = "\u200c\u200d"  # format characters that Persian words and emoji need
EMOJI_STYLE = "\ufe0f"


def has_invisible(text: str, *, allowed: str = "") -> bool:
    """Whether the text contains invisible characters other than those in `allowed`."""
    if text.isascii() and text.isprintable():
        return False
    others = [character for character in text if character not in allowed]
    return any(unicodedata.category(character) in INVISIBLE_CATEGORIES for character in others) or bool(
        IGNORABLE.search("".join(others))
    )


def without_invisible(text: str) -> str:
    """Return the text without its invisible characters."""
    visible = filter(lambda character: unicodedata.category(character) not in INVISIBLE_CATEGORIES, text)
    return IGNORABLE.sub("", "".join(visible))


def is_readable(text: str) -> bool:
    """Whether a name has visible characters, and no invisible ones except in words and emoji."""
    misplaced = MISPLACED_JOINER.search(text) is not None
    return text.strip() != "" and not misplaced and not has_invisible(text, allowed=JOINERS + EMOJI_STYLE)
