"""A bake holds what was chosen, differs from its source only where an answer is named, and repeats byte for byte."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import stat
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from baking import ROOT, NotBakedError, bake
from conftest import Bakery, plain_environment, run
from line_comparison import differences, files_of
from source_copy import SOURCE_NAME

HOOK = runpy.run_path(str(ROOT / "hooks" / "post_gen_project.py"))
OWNED: dict[str, dict[str, tuple[str, ...]]] = HOOK["OWNED_PATHS"]
COMBINATIONS = [dict(zip(OWNED, choices, strict=True)) for choices in product(*OWNED.values())]
LEFTOVER = re.compile(r"cookiecutter\.|\{\{-? *cookiecutter|^\s*# %", re.MULTILINE)
SECRETS: tuple[str, ...] = runpy.run_path(str(ROOT / SOURCE_NAME / "scripts" / "make_env.py"))["SECRETS"]
SECRET_LINE = re.compile(f"^({'|'.join(SECRETS)})=(.*)$", re.MULTILINE)

every_combination = pytest.mark.parametrize("chosen", COMBINATIONS, ids=lambda chosen: "-".join(chosen.values()))


def as_arguments(answers: dict[str, str]) -> list[str]:
    return [f"{name}={answer}" for name, answer in answers.items()]


def all_answers(template: Path, given: dict[str, str]) -> dict[str, Any]:
    """Return what a bake with `given` answers knows, defaults included."""
    questions = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    defaults = {name: value[0] if isinstance(value, list) else value for name, value in questions.items()}
    return defaults | {"project_slug": "my-flask-service"} | given


def unchosen(chosen: dict[str, str]) -> tuple[str, ...]:
    """Return the paths that only the choices not made own."""
    return tuple(p for option, choices in OWNED.items() for c in choices if c != chosen[option] for p in choices[c])


def chosen_paths(chosen: dict[str, str]) -> list[str]:
    return [path for option in OWNED for path in OWNED[option][chosen[option]]]


@pytest.mark.req("T1")
@every_combination
def test_a_bake_holds_every_file_that_was_chosen_and_none_that_was_not(baked: Bakery, chosen: dict[str, str]) -> None:
    service = baked(*as_arguments(chosen))

    assert [path for path in chosen_paths(chosen) if not (service / path).exists()] == []
    assert [path for path in unchosen(chosen) if (service / path).exists()] == []


@pytest.mark.req("T1")
def test_an_option_that_owns_files_is_a_question_with_the_same_choices() -> None:
    questions = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))

    assert {option: set(choices) for option, choices in OWNED.items()} == {o: set(questions[o]) for o in OWNED}


@pytest.mark.req("T1")
@every_combination
def test_no_jinja_is_left_over(baked: Bakery, chosen: dict[str, str]) -> None:
    service = baked(*as_arguments(chosen))

    texts = {path: (service / path).read_bytes().decode(errors="replace") for path in files_of(service)}
    assert [path for path in texts if "{{cookiecutter" in path or LEFTOVER.search(texts[path])] == []


@pytest.mark.req("T5")
@every_combination
def test_a_bake_differs_from_its_source_only_where_an_answer_is_named(
    template: Path,
    baked: Bakery,
    chosen: dict[str, str],
) -> None:
    service = baked(*as_arguments(chosen))

    assert differences(template, service, all_answers(template, chosen), unchosen(chosen)) == []


@pytest.mark.req("T5")
@pytest.mark.parametrize("license_name", ["MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary"])
@pytest.mark.parametrize("organisation", ["Example Ltd", "Bäckerei & Söhne's"])
def test_other_answers_change_the_lines_that_name_them_and_no_more(
    template: Path,
    baked: Bakery,
    license_name: str,
    organisation: str,
) -> None:
    given = {"license": license_name, "organisation": organisation, "project_name": "Ünï's", "project_slug": "uni"}
    answers = all_answers(template, given)

    service = baked(*as_arguments(given))

    assert differences(template, service, answers, unchosen(answers)) == []
    assert organisation in (service / "LICENSE").read_text(encoding="utf-8")


EATEN = {
    "an f-string's braces": ('name = f"{{x}}"\n', "deploy/eaten.py"),
    "the format of curl": ("curl -w '{{\"%{http_code}\"}}'\n", "eaten.sh"),
    "a comment opener after a dollar": ("echo ${#list[@]} #}\n", "eaten.sh"),
    "a Go template": ("alias: {{ 'go' }}\n", "eaten.yml"),
    "a blank line after a directive": ('# % if cookiecutter.ci == "none"\n# % endif\n\nkept: true\n', "eaten.yml"),
    "a trim that reaches the line before": ("kept: 1\n{{- cookiecutter.email }}\n", "eaten.yml"),
}


@pytest.mark.req("T5")
@pytest.mark.parametrize("trap", EATEN)
def test_a_line_that_jinja_eats_is_found(template: Path, tmp_path: Path, trap: str) -> None:
    text, path = EATEN[trap]
    broken = tmp_path / "template"
    shutil.copytree(template, broken)
    (broken / SOURCE_NAME / path).write_text(text, encoding="utf-8")

    try:
        bake(tmp_path / "service", template=broken)
    except NotBakedError:
        return  # Jinja says so itself
    answers = all_answers(broken, {})
    assert [found for found in differences(broken, tmp_path / "service", answers, unchosen(answers)) if path in found]


def contents(folder: Path) -> dict[str, bytes]:
    return {path: (folder / path).read_bytes() for path in files_of(folder)}


@pytest.mark.req("T3")
def test_two_bakes_with_the_same_answers_differ_only_in_the_secrets(template: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        bake(tmp_path / name, template=template)

    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    one, two = ((tmp_path / name / ".env").read_text(encoding="utf-8") for name in ("one", "two"))
    assert SECRET_LINE.sub("", one) == SECRET_LINE.sub("", two)
    assert not set(SECRET_LINE.findall(one)) & set(SECRET_LINE.findall(two))


@pytest.mark.req("T3")
def test_the_secrets_are_fresh_and_for_their_owner_alone(baked: Bakery) -> None:
    env_file = baked() / ".env"
    secrets = dict(SECRET_LINE.findall(env_file.read_text(encoding="utf-8")))

    assert secrets.keys() == set(SECRETS)
    assert len(set(secrets.values())) == len(secrets)
    assert min(len(secret) for secret in secrets.values()) == 64
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


@pytest.mark.req("T3")
def test_what_work_left_in_the_source_is_not_baked(template: Path, tmp_path: Path) -> None:
    worked_in = tmp_path / "template"
    shutil.copytree(template, worked_in)
    source = worked_in / SOURCE_NAME
    for path in (".venv/lib/a.py", ".mypy_cache/b.json", "app/__pycache__/c.pyc", "build/d", "app.db", ".env"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text("SECRET_KEY=theirs {{ {% nothing that Jinja could read", encoding="utf-8")
    (source / "app.db").write_bytes(b"\0")
    (source / ".env").write_text("SECRET_KEY=theirs\n", encoding="utf-8")

    bake(tmp_path / "service", template=worked_in)

    answers = all_answers(template, {})
    assert differences(template, tmp_path / "service", answers, unchosen(answers)) == []
    assert "theirs" not in (tmp_path / "service" / ".env").read_text(encoding="utf-8")


@pytest.mark.req("T3")
def test_baking_over_a_project_keeps_its_secrets_and_its_history(template: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "--overwrite-if-exists"]
    command += ["--output-dir", str(tmp_path), str(template)]
    service = tmp_path / "my-flask-service"
    env = plain_environment(HOME=str(tmp_path))
    run(command, tmp_path, env)
    (service / "somebodys.db").touch()
    before = (service / ".env").read_text(encoding="utf-8"), run(["git", "rev-parse", "HEAD"], service)

    run(command, tmp_path, env)

    assert ((service / ".env").read_text(encoding="utf-8"), run(["git", "rev-parse", "HEAD"], service)) == before
    assert (service / "somebodys.db").exists()
    assert not (service / ".env.kept").exists()
