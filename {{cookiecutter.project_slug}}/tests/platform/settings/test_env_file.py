"""Every reader of `.env` gets the same values, or the line is a problem."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from dotenv import dotenv_values

from app.platform.settings.env_file import EnvFile, read_env_file

pytestmark = [pytest.mark.fault("F20"), pytest.mark.req("S2")]

ACCEPTED = {
    "NAME=value": "value",
    "NAME=": "",
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
    "_name1=x": "x",
}
REJECTED = {
    "NAME=pa$word-1": "has a $, which Docker Compose replaces: enclose the whole value in single quotes",
    "NAME=pa$$word": "has a $",
    r"NAME=pa\$word": "has a $, which Docker Compose replaces: write the value into a file",
    "NAME=${OTHER}": "has a $, which Docker Compose replaces: write the value into a file",
    'NAME="pa$word"': "has a $ in double quotes",
    "NAME='${OTHER}'": "has a ${ in quotes",
    "NAME=a #b": "has a # that starts a comment for some programs: enclose the whole value in single quotes",
    "NAME=a\t#b": "has a # that starts a comment",
    "NAME=#b": "has a # that starts a comment",
    "NAME= value": "has spaces around the value",
    "NAME=value ": "has spaces around the value",
    "NAME=' value'": "has spaces around the value inside the quotes",
    "NAME =value": "must start with a name",
    " NAME=value": "must start with a name",
    "1NAME=value": "must start with a name",
    "NA-ME=value": "must start with a name",
    "export NAME=value": "starts with export: remove that word",
    "NAME": "has no equals sign",
    "NAME: value": "has no equals sign",
    "NAME='open": "has quotes that do not enclose exactly the value",
    "NAME='it's'": "has quotes that do not enclose exactly the value",
    "NAME='a' # comment": "has quotes that do not enclose exactly the value",
    'NAME="a"b': "has quotes that do not enclose exactly the value",
    r"NAME='a\b'": "has a backslash in quotes, which programs read differently: write it without quotes",
    r'NAME="a\nb"': "has a backslash in quotes",
    "NAME='two\nlines'": "contains a line break or control character: write the value into a file",
    "NAME=a\x1bb": "contains a line break or control character",
}


def read(tmp_path: Path, content: str | bytes) -> EnvFile:
    file = tmp_path / ".env"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_env_file(file)


@pytest.mark.parametrize("line", ACCEPTED)
def test_accepted_line_has_the_value_that_dotenv_reads(tmp_path: Path, line: str) -> None:
    result = read(tmp_path, f"# comment\n\n{line}\n")

    assert result.problems == []
    assert list(result.values.values()) == [ACCEPTED[line]]
    assert dotenv_values(tmp_path / ".env") == result.values


@pytest.mark.parametrize("line", REJECTED)
def test_rejected_line_is_named_with_what_to_type(tmp_path: Path, line: str) -> None:
    result = read(tmp_path, f"BEFORE=1\n{line}\nAFTER=2\n")

    (problem,) = result.problems
    assert problem.startswith("Line 2 (")
    assert REJECTED[line] in problem
    assert result.values == {"BEFORE": "1", "AFTER": "2"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"NAME=value\r\n", "has Windows line endings"),
        (b"\xef\xbb\xbfNAME=value\n", "starts with a byte order mark"),
        (b"NAME=\xff\n", "is not UTF-8 text"),
        (b"NAME=1\nNAME=2\n", "Line 2 (NAME) sets a name that is set before"),
    ],
)
def test_files_that_programs_read_differently_are_rejected(tmp_path: Path, content: bytes, message: str) -> None:
    (problem,) = read(tmp_path, content).problems

    assert message in problem


def test_problems_show_no_values(tmp_path: Path, secret: str) -> None:
    key = f"-----BEGIN KEY-----\nA{secret}==\nB{secret}=\n-----END KEY-----"
    lines = [
        f"A={secret}$",
        f"B='{secret}",
        f"export C={secret}",
        f"D= {secret}",
        f"{secret}",
        f'E="{key}"',
        f"F={key}",
    ]

    text = " ".join(read(tmp_path, "\n".join(lines)).problems)

    assert "(A)" in text
    assert secret not in text


def test_no_accepted_line_is_read_differently_by_dotenv(tmp_path: Path) -> None:
    randomness = random.Random(20)
    for _ in range(3000):
        line = "NAME=" + "".join(randomness.choices("ab1 '\"\\$#={}\t:", k=randomness.randint(0, 9)))
        if not (result := read(tmp_path, line)).problems:
            assert dotenv_values(tmp_path / ".env") == result.values, line
