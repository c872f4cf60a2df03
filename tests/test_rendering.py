"""A bake contains the selected files, differs from its source only in the answers, and is reproducible."""

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
from bake import ROOT, BakeError, bake
from conftest import BakeFactory, clean_environment, run
from copy_source import SOURCE_NAME
from render_diff import diff_bake, list_files

HOOK = runpy.run_path(str(ROOT / "hooks" / "post_gen_project.py"))
OWNED_PATHS: dict[str, dict[str, tuple[str, ...]]] = HOOK["OWNED_PATHS"]
COMBINATIONS = [dict(zip(OWNED_PATHS, choices, strict=True)) for choices in product(*OWNED_PATHS.values())]
JINJA_LEFTOVER = re.compile(r"cookiecutter\.|\{\{-? *cookiecutter|^\s*# %", re.MULTILINE)
SECRETS = (
    *("SECRET_KEY", "JWT_SECRET_KEY", "MASTER_ENCRYPTION_KEY", "METRICS_TOKEN"),
    *("POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD", "REDIS_PASSWORD", "FLOWER_PASSWORD", "GRAFANA_PASSWORD"),
)
SECRET_LINE = re.compile(f"^({'|'.join(SECRETS)})=(.*)$", re.MULTILINE)

every_combination = pytest.mark.parametrize("options", COMBINATIONS, ids=lambda options: "-".join(options.values()))


def as_arguments(answers: dict[str, str]) -> list[str]:
    return [f"{name}={answer}" for name, answer in answers.items()]


def all_answers(template: Path, given: dict[str, str]) -> dict[str, Any]:
    """Return the `given` answers and the defaults of all others."""
    questions = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    defaults = {name: value[0] if isinstance(value, list) else value for name, value in questions.items()}
    return defaults | {"project_slug": "my-flask-service"} | given


def unselected_paths(options: dict[str, str]) -> tuple[str, ...]:
    """Return the paths that unselected choices own."""
    return tuple(
        path
        for option, choices in OWNED_PATHS.items()
        for choice, paths in choices.items()
        if choice != options[option]
        for path in paths
    )


def selected_paths(options: dict[str, str]) -> list[str]:
    return [path for option in OWNED_PATHS for path in OWNED_PATHS[option][options[option]]]


@pytest.mark.req("T1")
@every_combination
def test_bake_contains_selected_files_only(bake_service: BakeFactory, options: dict[str, str]) -> None:
    service = bake_service(*as_arguments(options))

    assert [path for path in selected_paths(options) if not (service / path).exists()] == []
    assert [path for path in unselected_paths(options) if (service / path).exists()] == []


@pytest.mark.req("T1")
def test_owned_paths_match_the_choices_of_each_question() -> None:
    questions = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))

    for option, choices in OWNED_PATHS.items():
        assert set(choices) == set(questions[option]), option


@pytest.mark.req("T1")
@every_combination
def test_bake_contains_no_jinja(bake_service: BakeFactory, options: dict[str, str]) -> None:
    service = bake_service(*as_arguments(options))

    texts = {path: (service / path).read_bytes().decode(errors="replace") for path in list_files(service)}
    assert [path for path in texts if "{{cookiecutter" in path or JINJA_LEFTOVER.search(texts[path])] == []


@pytest.mark.req("T5")
@every_combination
def test_bake_differs_from_source_only_in_answers(
    template: Path,
    bake_service: BakeFactory,
    options: dict[str, str],
) -> None:
    service = bake_service(*as_arguments(options))

    assert diff_bake(template, service, all_answers(template, options), unselected_paths(options)) == []


@pytest.mark.req("T5")
@pytest.mark.parametrize("license_name", ["MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary"])
@pytest.mark.parametrize("organisation", ["Example Ltd", "Bäckerei & Söhne's"])
def test_other_answers_change_only_lines_that_contain_them(
    template: Path,
    bake_service: BakeFactory,
    license_name: str,
    organisation: str,
) -> None:
    given = {"license": license_name, "organisation": organisation, "project_name": "Ünï's", "project_slug": "uni"}
    answers = all_answers(template, given)

    service = bake_service(*as_arguments(given))

    assert diff_bake(template, service, answers, unselected_paths(answers)) == []
    assert organisation in (service / "LICENSE").read_text(encoding="utf-8")


TRAPS = {
    "braces of an f-string": ('name = f"{{x}}"\n', "deploy/trap.py"),
    "format string of curl": ("curl -w '{{\"%{http_code}\"}}'\n", "trap.sh"),
    "comment opener after a dollar": ("echo ${#list[@]} #}\n", "trap.sh"),
    "Go template": ("alias: {{ 'go' }}\n", "trap.yml"),
    "blank line after a directive": ('# % if cookiecutter.ci == "none"\n# % endif\n\nkept: true\n', "trap.yml"),
    "trim of the line before": ("kept: 1\n{{- cookiecutter.email }}\n", "trap.yml"),
}


@pytest.mark.req("T5")
@pytest.mark.parametrize("trap", TRAPS)
def test_unwanted_change_by_jinja_is_found(template: Path, tmp_path: Path, trap: str) -> None:
    text, path = TRAPS[trap]
    broken = tmp_path / "template"
    shutil.copytree(template, broken)
    (broken / SOURCE_NAME / path).write_text(text, encoding="utf-8")

    try:
        bake(tmp_path / "service", template=broken)
    except BakeError:
        return  # Jinja itself reports an error
    answers = all_answers(broken, {})
    differences = diff_bake(broken, tmp_path / "service", answers, unselected_paths(answers))
    assert any(path in difference for difference in differences)


def read_all(folder: Path) -> dict[str, bytes]:
    return {path: (folder / path).read_bytes() for path in list_files(folder)}


@pytest.mark.req("T3")
def test_two_equal_bakes_differ_only_in_secrets(template: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        bake(tmp_path / name, template=template)

    assert read_all(tmp_path / "one") == read_all(tmp_path / "two")
    one, two = ((tmp_path / name / ".env").read_text(encoding="utf-8") for name in ("one", "two"))
    assert SECRET_LINE.sub("", one) == SECRET_LINE.sub("", two)
    assert not set(SECRET_LINE.findall(one)) & set(SECRET_LINE.findall(two))


@pytest.mark.req("T3")
def test_secrets_are_unique_and_readable_by_owner_only(bake_service: BakeFactory) -> None:
    env_file = bake_service() / ".env"
    secrets = dict(SECRET_LINE.findall(env_file.read_text(encoding="utf-8")))

    assert secrets.keys() == set(SECRETS)
    assert len(set(secrets.values())) == len(secrets)
    assert min(len(secret) for secret in secrets.values()) == 64
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


@pytest.mark.req("T3")
def test_build_artefacts_of_the_source_are_not_baked(template: Path, tmp_path: Path) -> None:
    used_template = tmp_path / "template"
    shutil.copytree(template, used_template)
    source = used_template / SOURCE_NAME
    for path in (".venv/lib/a.py", ".mypy_cache/b.json", "app/__pycache__/c.pyc", "build/d", "app.db", ".env"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text("SECRET_KEY=theirs {{ {% not valid Jinja", encoding="utf-8")
    (source / "app.db").write_bytes(b"\0")
    (source / ".env").write_text("SECRET_KEY=theirs\n", encoding="utf-8")

    bake(tmp_path / "service", template=used_template)

    answers = all_answers(template, {})
    assert diff_bake(template, tmp_path / "service", answers, unselected_paths(answers)) == []
    assert "theirs" not in (tmp_path / "service" / ".env").read_text(encoding="utf-8")


@pytest.mark.req("T3")
def test_bake_over_a_project_keeps_secrets_and_history(template: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "--overwrite-if-exists"]
    command += ["--output-dir", str(tmp_path), str(template)]
    service = tmp_path / "my-flask-service"
    env = clean_environment(HOME=str(tmp_path))
    run(command, tmp_path, env)
    (service / "local.db").touch()
    before = (service / ".env").read_text(encoding="utf-8"), run(["git", "rev-parse", "HEAD"], service)

    run(command, tmp_path, env)

    assert ((service / ".env").read_text(encoding="utf-8"), run(["git", "rev-parse", "HEAD"], service)) == before
    assert (service / "local.db").exists()
    assert not (service / ".env.bake-backup").exists()
