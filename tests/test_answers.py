"""Bad answers are refused before a file is written, in words that help; odd but good ones are baked as given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from baking import ROOT

QUESTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
OUTSIDE_ASCII = "has letters outside a to z"
PATH = "has a path in it"
NOT_PLAIN = "is not a plain name"
RESERVED = "is reserved"
UNPRINTABLE = "has a line break, a control character or an invisible one"
UNQUOTABLE = "has a character that breaks a quoted string"
NO_EMAIL = "is not an e-mail address"
NO_DOMAIN = "is not a host name"

BAD = [
    ("project_slug", "", "is empty"),
    ("project_slug", " ", "is empty"),
    ("project_slug", "9lives", "starts with a digit"),
    ("project_slug", "café", OUTSIDE_ASCII),
    ("project_slug", "сервис", OUTSIDE_ASCII),
    ("project_slug", "Parcel", "has upper-case letters"),
    ("project_slug", "parcel tracker", NOT_PLAIN),
    ("project_slug", "parcel.tracker", NOT_PLAIN),
    ("project_slug", "parcel--tracker", NOT_PLAIN),
    ("project_slug", "-parcel", NOT_PLAIN),
    ("project_slug", "parcel_", NOT_PLAIN),
    ("project_slug", "parcel\n", NOT_PLAIN),
    ("project_slug", "$(id)", NOT_PLAIN),
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
    ("project_name", 'the "best"', UNQUOTABLE),
    ("project_name", "back\\slash", UNQUOTABLE),
    ("project_name", "# a comment", "does not start with a letter or a digit"),
    ("project_name", "blank at the end ", "ends with a blank"),
    ("description", "", "is empty"),
    ("description", "d" * 161, "is longer than 160 characters"),
    ("description", "tab\there", UNPRINTABLE),
    ("description", "costs $HOME", UNQUOTABLE),
    ("description", "runs `id`", UNQUOTABLE),
    ("description", "one { brace", UNQUOTABLE),
    ("description", "a <b>tag</b>", UNQUOTABLE),
    ("organisation", "", "is empty"),
    ("organisation", "o" * 81, "is longer than 80 characters"),
    ("organisation", 'Bob "the" Builder', UNQUOTABLE),
    *[("email", email, NO_EMAIL) for email in ("x", "@example.com", "me@", "me@localhost", "a b@example.com")],
    *[
        ("email", email, NO_EMAIL)
        for email in ("a@b@example.com", "a..b@example.com", "me@example.com\n", "é@example.com")
    ],
    *[("email", email, NO_EMAIL) for email in ('"me"@example.com', "me@-example.com", "m" * 65 + "@example.com")],
    ("email", "", "is empty"),
    ("email", "m@" + "e." * 130 + "com", "is longer than 254 characters"),
    *[("domain", name, NO_DOMAIN) for name in ("localhost", "https://example.com", "example.com/", "example.com:80")],
    *[("domain", name, NO_DOMAIN) for name in ("-a.example.com", "a-.example.com", "a..example.com", ".example.com")],
    *[("domain", name, NO_DOMAIN) for name in ("example.com.", "127.0.0.1", "exa mple.com", "münchen.example")],
    *[("domain", name, NO_DOMAIN) for name in ("API.example.com", "a_b.example.com", "l" * 64 + ".example.com")],
    ("domain", "", "is empty"),
    ("domain", "e." * 130 + "com", "is longer than 253 characters"),
]

GOOD = [
    {"project_name": "Bäckerei & Söhne's 24/7 Service", "project_slug": "backerei"},
    {"project_name": "東京", "description": "100% (of it): a #1 service; that's all!", "organisation": "Ælfred & Þór"},
    {"project_slug": "a", "project_name": "A"},
    {"project_slug": "my_service_2", "domain": "xn--mnchen-3ya.example", "email": "first.last+tag@mail.example.co.uk"},
    {"project_slug": "s" * 40, "project_name": "N" * 60, "description": "d" * 160, "organisation": "o" * 80},
]


def ask(
    template: Path, into: Path, answers: dict[str, str], typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Bake as a person does; `typed` is what they type where they are asked."""
    config = into.parent / "config.yaml"
    config.write_text(f'replay_dir: "{into.parent}/replay"\n', encoding="utf-8")
    command = [sys.executable, "-m", "cookiecutter", "--config-file", str(config), "--output-dir", str(into)]
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


def left_in(folder: Path) -> list[str]:
    """Return what lies around a folder that a bake was refused in, the test's own configuration aside."""
    own = {folder, folder.parent / "config.yaml", folder.parent / "replay"}
    return [
        str(path)
        for path in folder.parent.rglob("*")
        if path not in own and folder.parent / "replay" not in path.parents
    ]


@pytest.mark.req("T2")
@pytest.mark.parametrize(("question", "answer", "wrong"), BAD, ids=lambda word: ascii(word)[:30])
def test_a_bad_answer_is_refused_with_its_reason_and_leaves_nothing(
    template: Path,
    empty_folder: Path,
    question: str,
    answer: str,
    wrong: str,
) -> None:
    done = ask(template, empty_folder, {question: answer})

    assert done.returncode != 0
    assert f"{question} {answer[:80]!a} " in done.stderr
    assert wrong in done.stderr
    assert "Would pass: " in done.stderr
    assert "Traceback" not in done.stderr
    assert left_in(empty_folder) == []


@pytest.mark.req("T2")
def test_all_bad_answers_are_named_at_once(template: Path, empty_folder: Path) -> None:
    bad = {
        "project_name": "",
        "project_slug": "../x",
        "description": "{",
        "organisation": "$",
        "email": "x",
        "domain": "y",
    }

    done = ask(template, empty_folder, bad)

    assert [line.split()[1] for line in done.stderr.splitlines() if line.startswith("  - ")] == list(bad)
    assert left_in(empty_folder) == []


@pytest.mark.req("T2")
@pytest.mark.parametrize("text", ["{{ cookiecutter }}", "{% raw %}", "{# note #}", "# % if"])
def test_a_directive_typed_as_an_answer_is_refused(template: Path, empty_folder: Path, text: str) -> None:
    done = ask(template, empty_folder, {}, typed=f"Parcel Tracker\n\n{text}\n" + "\n" * 20)

    assert done.returncode != 0
    assert f"description {text!a} " in done.stderr
    assert left_in(empty_folder) == []


@pytest.mark.req("T2")
def test_a_slug_that_kubernetes_cannot_take_is_refused_with_it_alone(template: Path, empty_folder: Path) -> None:
    done = ask(template, empty_folder, {"project_slug": "my_service", "kubernetes": "yes"})

    assert done.returncode != 0
    assert "no Kubernetes name may have" in done.stderr
    assert left_in(empty_folder) == []


@pytest.mark.req("T2")
@pytest.mark.parametrize(
    "option", [name for name, value in QUESTIONS.items() if isinstance(value, list) and name[0] != "_"]
)
def test_a_choice_that_is_not_offered_is_refused(template: Path, empty_folder: Path, option: str) -> None:
    done = ask(template, empty_folder, {option: "neither"})

    assert done.returncode != 0
    assert f"neither provided for choice variable {option}, but the choices are" in done.stderr
    assert left_in(empty_folder) == []


@pytest.mark.req("T2")
@pytest.mark.parametrize("answers", GOOD, ids=lambda answers: ascii(answers)[:40])
def test_an_odd_answer_is_baked_as_given(template: Path, empty_folder: Path, answers: dict[str, str]) -> None:
    done = ask(template, empty_folder, answers)

    assert done.returncode == 0, done.stdout + done.stderr
    (service,) = empty_folder.iterdir()
    assert service.name == answers.get("project_slug", "dong-jing")
    if "project_name" in answers:
        assert answers["project_name"] in (service / "README.md").read_text(encoding="utf-8")


@pytest.mark.req("T1")
def test_every_question_is_a_sentence_and_its_default_is_good(template: Path, empty_folder: Path) -> None:
    asked = [name for name in QUESTIONS if not name.startswith("_")]

    done = ask(template, empty_folder, {}, typed="\n" * len(asked))

    assert done.returncode == 0, done.stdout + done.stderr
    for name in asked:
        prompt = QUESTIONS["__prompts__"][name]
        sentence = prompt if isinstance(prompt, str) else prompt["__prompt__"]
        assert sentence[0].isupper()
        assert len(sentence.split()) >= 4
        assert sentence.split("(")[0].strip() in " ".join(done.stdout.split())
