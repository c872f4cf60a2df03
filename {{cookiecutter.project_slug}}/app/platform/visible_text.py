"""Finds invisible characters: with them, texts that look alike differ, or look like something else."""

from __future__ import annotations

import re
import unicodedata

# Unicode categories of characters that are invisible or reorder text: control, format, surrogate, line separators.
INVISIBLE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Characters of other categories that are invisible, too (property Default_Ignorable_Code_Point).
IGNORABLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
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
