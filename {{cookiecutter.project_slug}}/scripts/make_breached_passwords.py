#!/usr/bin/env python3
"""Write the list of breached passwords from text files: `scripts/make_breached_passwords.py FILE…`.

Each line of a file is a password. Those that are too short or too long for an account are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.accounts import breached_passwords
from app.accounts.password_rules import MAX_LENGTH, MIN_LENGTH


def passwords(files: list[str]) -> Iterator[str]:
    """Yield the passwords of the files that an account may have by their length."""
    for file in files:
        for line in Path(file).read_text(encoding="utf-8", errors="ignore").splitlines():
            if MIN_LENGTH <= len(line.strip()) <= MAX_LENGTH:
                yield line.strip()


def main(files: list[str], target: Path = breached_passwords.FILE) -> int:
    """Write the list; return the exit status."""
    if not files:
        print(__doc__, file=sys.stderr)
        return 2
    content = breached_passwords.encode(passwords(files))
    target.write_bytes(content)
    print(f"{target.name}: {len(content) // breached_passwords.DIGEST_BYTES} passwords, {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
