#!/usr/bin/env python3
"""Print the Kubernetes secret with the values of a file of NAME=value lines, as JSON for `kubectl apply --filename -`.

`kubectl create secret --from-env-file` would keep quotes as a part of the value; this program reads the file as Docker
Compose and `make run` do, and refuses what they would read differently.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.platform.settings.core import PROJECT_SLUG
from app.platform.settings.env_file import read_env_file


def main() -> int:
    """Print the secret, or the problems of the file; return the exit status."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its argument
        print("usage: make_secret.py FILE", file=sys.stderr)
        return 2
    file = read_env_file(Path(sys.argv[1]))
    for problem in file.problems:
        print(f"error: {problem}", file=sys.stderr)
    if file.problems:
        return 1
    metadata = {"name": f"{PROJECT_SLUG}-secrets"}
    print(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": file.values}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
