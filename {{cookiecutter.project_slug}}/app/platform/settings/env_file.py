"""Files of NAME=value lines such as `.env`, read so that every program that reads them gets the same values.

Docker Compose, python-dotenv (`make run`, `flask`) and kubectl differ in quotes, dollar signs, backslashes and
comments. A line that they would read differently is a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CONTROL = re.compile(r"[\x00-\x08\n-\x1f\x7f-\x9f\u2028\u2029]")  # all but the tab
OPEN_QUOTE = re.compile(r"""[^=]*=\s*(['"])(?:(?!\1).)*$""")
OTHERWISE = "or write the value into a file and set {name}_FILE to its path"


@dataclass
class EnvFile:
    """The values of a file by name, and its problems; a line with a problem has no value, but its name is known."""

    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


def read_env_file(path: Path) -> EnvFile:
    """Read a file; a problem names the setting and what to type, and shows no value."""
    result = EnvFile()
    try:
        content = path.read_bytes().decode()
    except UnicodeDecodeError:
        result.problems.append(f"{path} is not UTF-8 text: save it as UTF-8.")
        return result
    if content.startswith("\ufeff"):
        result.problems.append(f"{path} starts with a byte order mark: save it as UTF-8 without BOM.")
    if "\r" in content:
        result.problems.append(f"{path} has Windows line endings: save it with line feeds (LF) only.")
    for number, line in _lines(content.removeprefix("\ufeff").replace("\r\n", "\n")):
        _read_line(result, number, line)
    return result


def _lines(content: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of every line that is no comment; the lines of a quoted value are one."""
    numbered = enumerate(content.split("\n"), 1)
    for number, line in numbered:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if opened := OPEN_QUOTE.match(line):
            rest = content.split("\n")[number:]
            end = next((index for index, other in enumerate(rest) if opened[1] in other), -1)
            line = "\n".join([line, *(next(numbered)[1] for _ in range(end + 1))])  # noqa: PLW2901 - the whole value
        yield number, line


def _read_line(result: EnvFile, number: int, line: str) -> None:
    name, separator, text = line.partition("=")
    problem = _name_problem(result, name, separator)
    shown = found[0] if (found := NAME.search(name.strip().removeprefix("export "))) and separator else "no setting"
    result.names.add(shown)
    if not problem:
        value, problem = _parse(name, text)
        result.values[name] = value
    if problem:
        result.values.pop(name, None)
        result.problems.append(f"Line {number} ({shown}) {problem}")


def _name_problem(result: EnvFile, name: str, separator: str) -> str:
    """Return what is wrong with the part before the equals sign, as the predicate of a sentence."""
    if not separator:
        return "has no equals sign: write NAME=value."
    if name.startswith("export "):
        return "starts with export: remove that word."
    if not NAME.fullmatch(name):
        return "must start with a name of letters, digits and underscores, directly followed by the equals sign."
    if name in result.names:
        return "sets a name that is set before: remove one of the lines."
    return ""


def _parse(name: str, text: str) -> tuple[str, str]:
    """Return the value, and the problem as the predicate of a sentence."""
    if CONTROL.search(text):
        return "", f"contains a line break or control character: {OTHERWISE.format(name=name)[3:]}."
    quote = text[:1] if text[:1] in ("'", '"') else ""
    if not quote:
        return text, _plain_problem(name, text)
    if len(text) == 1 or not text.endswith(quote) or quote in text[1:-1]:
        return "", f"has quotes that do not enclose exactly the value: {_without_quotes(name)}."
    return text[1:-1], _quoted_problem(name, quote, text[1:-1])


def _plain_problem(name: str, text: str) -> str:
    if text != text.strip():
        return "has spaces around the value: remove them, also after the equals sign."
    if text.startswith("#") or re.search(r"\s#", text):
        return f"has a # that starts a comment for some programs: {_in_quotes(name, text)}."
    if "$" in text:
        return f"has a $, which Docker Compose replaces: {_in_quotes(name, text)}."
    return ""


def _quoted_problem(name: str, quote: str, value: str) -> str:
    if value != value.strip():
        return "has spaces around the value inside the quotes: remove them."
    if "\\" in value:
        return f"has a backslash in quotes, which programs read differently: {_without_quotes(name)}."
    if quote == '"' and "$" in value:
        return f"has a $ in double quotes, which Docker Compose replaces: {_in_quotes(name, value)}."
    if "${" in value:
        return "has a ${ in quotes, which python-dotenv replaces: " + OTHERWISE.format(name=name)[3:] + "."
    return ""


def _in_quotes(name: str, value: str) -> str:
    """Say how to write a value that is not possible without quotes."""
    if {"'", "\\"} & set(value) or "${" in value:
        return OTHERWISE.format(name=name)[3:]
    return f"enclose the whole value in single quotes, {OTHERWISE.format(name=name)}"


def _without_quotes(name: str) -> str:
    """Say how to write a value that is not possible in quotes."""
    return f"write it without quotes, {OTHERWISE.format(name=name)}"
