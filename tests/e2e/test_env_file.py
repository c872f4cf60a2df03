"""Docker Compose reads every line that check_env accepts as check_env does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.engine import docker

# The lines and values of the service's own test of .env, tests/platform/settings/test_env_file.py.
LINES = {
    "NAME=value": "value",
    "NAME=''": "",
    "NAME=two words": "two words",
    "NAME=a#b": "a#b",
    "NAME=it's": "it's",
    'NAME=a"b': 'a"b',
    "NAME=a=b==": "a=b==",
    r"NAME=CORP\mailer": r"CORP\mailer",
    r"NAME=a\\n": r"a\\n",
    "NAME='pa$word-1'": "pa$word-1",
    "NAME='a # b'": "a # b",
    'NAME="it\'s"': "it's",
    "NAME='say \"yes\"'": 'say "yes"',
    "NAME=grüße": "grüße",
}
COMPOSE = """
services:
  service:
    image: image
    env_file: .env
    environment: {INTERPOLATED: "${NAME}"}
"""


@pytest.mark.req("S2")
@pytest.mark.fault("F20")
@pytest.mark.parametrize("line", LINES)
def test_compose_reads_the_value_that_check_env_reads(tmp_path: Path, line: str) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE, encoding="utf-8")
    (tmp_path / ".env").write_text(f"{line}\n", encoding="utf-8")

    config = json.loads(docker("compose", "config", "--format", "json", cwd=tmp_path))

    environment = config["services"]["service"]["environment"]
    values = {name: value.replace("$$", "$") for name, value in environment.items()}  # escaped in this output
    assert values == {"NAME": LINES[line], "INTERPOLATED": LINES[line]}
