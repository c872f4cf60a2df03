"""Invalid answers are rejected with a helpful message before a file is written; unusual valid ones are kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bake import ROOT

QUESTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
NON_ASCII = "has non-ASCII characters"
PATH = "contains a path"
INVALID_SLUG = "is not a valid slug"
RESERVED = "is reserved"
UNPRINTABLE = "has a line break, a control character or an invisible character"
UNSAFE = "has a character that breaks a quoted string"
INVALID_EMAIL = "is not an e-mail address"
INVALID_DOMAIN = "is not a host name"

INVALID_ANSWERS = [
    ("project_slug", "", "is empty"),
    ("project_slug", " ", "is empty"),
    ("project_slug", "9lives", "starts with a digit"),
    ("project_slug", "café", NON_ASCII),
    ("project_slug", "сервис", NON_ASCII),
    ("project_slug", "Parcel", "has upper-case letters"),
    ("project_slug", "parcel tracker", INVALID_SLUG),
    ("project_slug", "parcel.tracker", INVALID_SLUG),
    ("project_slug", "parcel--tracker", INVALID_SLUG),
    ("project_slug", "-parcel", INVALID_SLUG),
    ("project_slug", "parcel_", INVALID_SLUG),
    ("project_slug", "parcel\n", INVALID_SLUG),
    ("project_slug", "$(id)", INVALID_SLUG),
    ("project_slug", "../parcel", PATH),
    ("project_slug", "..", PATH),
    ("project_slug", "a/b/c", PATH),
    ("project_slug", "/tmp/parcel", PATH),  # noqa: S108  # an answer, not a file
    ("project_slug", "a\\b", PATH),
    ("project_slug", "a" * 41, "is longer than 40 characters"),
    ("project_slug", "a" * 300, "is longer than 40 characters"),
    *[("project_slug", keyword, "is a Python keyword") for keyword in ("class", "import", "lambda", "try")],
    *[("project_slug", name, RESERVED) for name in ("app", "test", "tests", "flask", "celery", "con", "nul", "com1")],
    ("project_name", "", "is empty"),
    ("project_name", "   ", "is empty"),
    ("project_name", "n" * 61, "is longer than 60 characters"),
    ("project_name", "two\nlines", UNPRINTABLE),
    ("project_name", "bell\a", UNPRINTABLE),
    ("project_name", "escape\x1b[2J", UNPRINTABLE),
    ("project_name", "next\x85line", UNPRINTABLE),
    ("project_name", "paragraph\u2029mark", UNPRINTABLE),
    ("project_name", "turned\u202eround", UNPRINTABLE),
    ("project_name", 'the "best"', UNSAFE),
    ("project_name", "back\\slash", UNSAFE),
    ("project_name", "# a comment", "does not start with a letter or a digit"),
    ("project_name", "trailing space ", "ends with a space"),
    ("description", "", "is empty"),
    ("description", "d" * 161, "is longer than 160 characters"),
    ("description", "tab\there", UNPRINTABLE),
    ("description", "costs $HOME", UNSAFE),
    ("description", "runs `id`", UNSAFE),
    ("description", "one { brace", UNSAFE),
    ("description", "a <b>tag</b>", UNSAFE),
    ("organisation", "", "is empty"),
    ("organisation", "o" * 81, "is longer than 80 characters"),
    ("organisation", 'Bob "the" Builder', UNSAFE),
    *[("email", email, INVALID_EMAIL) for email in ("x", "@example.com", "me@", "me@localhost", "a b@example.com")],
    *[
        ("email", email, INVALID_EMAIL)
        for email in ("a@b@example.com", "a..b@example.com", "me@example.com\n", "é@example.com")
    ],
    *[("email", email, INVALID_EMAIL) for email in ('"me"@example.com', "me@-example.com", "m" * 65 + "@example.com")],
    ("email", "", "is empty"),
    ("email", "m@" + "e." * 130 + "com", "is longer than 254 characters"),
    *[
        ("domain", name, INVALID_DOMAIN)
        for name in ("localhost", "https://example.com", "example.com/", "example.com:80")
    ],
    *[
        ("domain", name, INVALID_DOMAIN)
        for name in ("-a.example.com", "a-.example.com", "a..example.com", ".example.com")
    ],
    *[("domain", name, INVALID_DOMAIN) for name in ("example.com.", "127.0.0.1", "exa mple.com", "münchen.example")],
    *[("domain", name, INVALID_DOMAIN) for name in ("API.example.com", "a_b.example.com", "l" * 64 + ".example.com")],
    ("domain", "", "is empty"),
    ("domain", "e." * 130 + "com", "is longer than 253 characters"),
]

VALID_ANSWERS = [
    {"project_name": "Bäckerei & Söhne's 24/7 Service", "project_slug": "backerei"},
    {"project_name": "東京", "description": "100% (of it): a #1 service; that's all!", "organisation": "Ælfred & Þór"},
    {"project_slug": "a", "project_name": "A"},
    {"project_slug": "my_service_2", "domain": "xn--mnchen-3ya.example", "email": "first.last+tag@mail.example.co.uk"},
    {"project_slug": "s" * 40, "project_name": "N" * 60, "description": "d" * 160, "organisation": "o" * 80},
]


def run_cookiecutter(
    template: Path, output_folder: Path, answers: dict[str, str], typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter on the command line; `typed` is the input to its prompts."""
    config = output_folder.parent / "config.yaml"
    config.write_text(f'replay_dir: "{output_folder.parent}/replay"\n', encoding="utf-8")
    command = [sys.executable, "-m", "cookiecutter", "--config-file", str(config), "--output-dir", str(output_folder)]
    words = [str(template), *(f"{name}={text}" for name, text in answers.items())]
    return subprocess.run(
        [*command, *(["--no-input"] if typed is None else []), *words],
        input=typed or "",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONUTF8": "1"},
    )


def leftover_files(output_folder: Path) -> list[str]:
    """Return the files in and around `output_folder`, except the configuration of run_cookiecutter."""
    parent = output_folder.parent
    expected = {output_folder, parent / "config.yaml", parent / "replay"}
    return [str(path) for path in parent.rglob("*") if path not in expected and parent / "replay" not in path.parents]


@pytest.mark.req("T2")
@pytest.mark.parametrize(("question", "answer", "problem"), INVALID_ANSWERS, ids=lambda word: ascii(word)[:30])
def test_invalid_answer_is_rejected_with_reason_and_leaves_no_files(
    template: Path,
    output_folder: Path,
    question: str,
    answer: str,
    problem: str,
) -> None:
    result = run_cookiecutter(template, output_folder, {question: answer})

    assert result.returncode != 0
    assert f"{question} {answer[:80]!a} " in result.stderr
    assert problem in result.stderr
    assert "Valid: " in result.stderr
    assert "Traceback" not in result.stderr
    assert leftover_files(output_folder) == []


@pytest.mark.req("T2")
def test_all_invalid_answers_are_reported_at_once(template: Path, output_folder: Path) -> None:
    invalid = {
        "project_name": "",
        "project_slug": "../x",
        "description": "{",
        "organisation": "$",
        "email": "x",
        "domain": "y",
    }

    result = run_cookiecutter(template, output_folder, invalid)

    assert [line.split()[1] for line in result.stderr.splitlines() if line.startswith("  - ")] == list(invalid)
    assert leftover_files(output_folder) == []


@pytest.mark.req("T2")
@pytest.mark.parametrize("text", ["{{ cookiecutter }}", "{% raw %}", "{# note #}", "# % if"])
def test_jinja_syntax_in_an_answer_is_rejected(template: Path, output_folder: Path, text: str) -> None:
    result = run_cookiecutter(template, output_folder, {}, typed=f"Parcel Tracker\n\n{text}\n" + "\n" * 20)

    assert result.returncode != 0
    assert f"description {text!a} " in result.stderr
    assert leftover_files(output_folder) == []


@pytest.mark.req("T2")
def test_underscore_in_slug_is_rejected_with_kubernetes(template: Path, output_folder: Path) -> None:
    result = run_cookiecutter(template, output_folder, {"project_slug": "my_service", "kubernetes": "yes"})

    assert result.returncode != 0
    assert "has an underscore; Kubernetes names may not" in result.stderr
    assert leftover_files(output_folder) == []


@pytest.mark.req("T2")
@pytest.mark.parametrize(
    "option", [name for name, value in QUESTIONS.items() if isinstance(value, list) and name[0] != "_"]
)
def test_unknown_choice_is_rejected(template: Path, output_folder: Path, option: str) -> None:
    result = run_cookiecutter(template, output_folder, {option: "neither"})

    assert result.returncode != 0
    assert f"neither provided for choice variable {option}, but the choices are" in result.stderr
    assert leftover_files(output_folder) == []


@pytest.mark.req("T2")
@pytest.mark.parametrize("answers", VALID_ANSWERS, ids=lambda answers: ascii(answers)[:40])
def test_unusual_valid_answer_is_kept(template: Path, output_folder: Path, answers: dict[str, str]) -> None:
    result = run_cookiecutter(template, output_folder, answers)

    assert result.returncode == 0, result.stdout + result.stderr
    (service,) = output_folder.iterdir()
    assert service.name == answers.get("project_slug", "dong-jing")
    if "project_name" in answers:
        assert answers["project_name"] in (service / "README.md").read_text(encoding="utf-8")


@pytest.mark.req("T1")
def test_every_prompt_is_shown_and_every_default_is_valid(template: Path, output_folder: Path) -> None:
    questions = [name for name in QUESTIONS if not name.startswith("_")]

    result = run_cookiecutter(template, output_folder, {}, typed="\n" * len(questions))

    assert result.returncode == 0, result.stdout + result.stderr
    for name in questions:
        prompt = QUESTIONS["__prompts__"][name]
        text = prompt if isinstance(prompt, str) else prompt["__prompt__"]
        assert text[0].isupper()
        assert text.split("(")[0].strip() in " ".join(result.stdout.split())
