"""Finish a bake: remove the files of unselected options, write secrets, create the first commit, print next steps.

cookiecutter renders this file with Jinja and runs it in the new project. Nothing here needs a network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

# JSON never contains three double quotes in a row and escapes control characters, so no answer can end this string.
RENDERED_ANSWERS = r"""{{ cookiecutter | jsonify }}"""

# The files and folders of each choice; those of unselected choices are removed. A test compares this table with the
# source, so a path renamed there must be renamed here.
OWNED_PATHS: dict[str, dict[str, tuple[str, ...]]] = {
    "proxy": {
        "nginx": (
            *("deploy/nginx", "tests/servers/nginx.py", "tests/running/nginx.py", "tests/running/test_nginx.py"),
            "tests/data_files/test_nginx.py",
        ),
        "traefik": ("deploy/traefik",),
    },
    "ci": {"github": (".github",), "gitlab": (".gitlab-ci.yml",), "none": ()},
    "kubernetes": {"yes": ("deploy/kubernetes",), "no": ()},
    "railway": {"yes": ("railway.json",), "no": ()},
}

# Files that running the unrendered source creates in it (CONTRIBUTING.md recommends running it); not part of a bake.
BUILD_ARTEFACTS = (
    *("__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"),
    *("build", "instance", ".coverage", "*.db", "*.pyc"),
)

GIT_TIMEOUT_SECONDS = 60


def remove(path: Path) -> None:
    """Remove a file or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_unselected_options(answers: dict[str, str]) -> None:
    """Remove the paths of every unselected choice."""
    for option, choices in OWNED_PATHS.items():
        for choice in choices.keys() - {answers[option]}:
            for path in choices[choice]:
                remove(Path(path))


def remove_build_artefacts() -> None:
    """Remove caches and databases copied from the source; in an existing project they belong to its owner and stay."""
    if Path(".git").exists() or Path(".env.bake-backup").exists():
        return
    for pattern in BUILD_ARTEFACTS:
        for path in list(Path().rglob(pattern)):
            remove(path)


def write_secrets() -> None:
    """Write .env with mode 0600 from the first byte; restore the .env of an existing project instead."""
    remove(Path(".env"))  # copied from the source, whose secrets are in use there
    if Path(".env.bake-backup").exists():
        Path(".env.bake-backup").replace(".env")
        return
    generated = subprocess.run(
        [sys.executable, "scripts/make_env.py"],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONUTF8": "1"},  # answers may be non-ASCII in any locale
    )
    Path(".env").touch(mode=0o600, exist_ok=False)
    Path(".env").write_bytes(generated.stdout)


def git(*arguments: str, settings: tuple[str, ...] = ()) -> str:
    """Run git on this folder and return its output; ignore the repository that GIT_* variables point to.

    A bake that starts in a git hook inherits such variables.
    """
    removed = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE"}
    env = {name: value for name, value in os.environ.items() if name not in removed}
    options = [word for setting in settings for word in ("-c", setting)]
    result = subprocess.run(
        ["git", *options, *arguments],
        check=True,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=env,
        stdin=subprocess.DEVNULL,
        timeout=GIT_TIMEOUT_SECONDS,
    )
    return result.stdout.strip()


def fallback_identity(answers: dict[str, str]) -> tuple[str, ...]:
    """Return git settings that make the service's owner the author, or none if git has an identity."""
    try:
        for role in ("AUTHOR", "COMMITTER"):
            git("var", f"GIT_{role}_IDENT", settings=("user.useConfigOnly=true",))
    except subprocess.CalledProcessError:
        return (f"user.name={answers['organisation']}", f"user.email={answers['email']}")
    return ()


def commit(answers: dict[str, str]) -> None:
    """Create the first commit; the user's hooks, ignore list, template and signing key are not used."""
    settings = ("init.defaultBranch=main", f"core.excludesFile={os.devnull}", *fallback_identity(answers))
    message = f"Bake {answers['project_slug']} from cookiecutter-flask-service"
    git("init", "--quiet", "--template=", settings=settings)
    git("add", "--all", settings=settings)
    git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", message, settings=settings)


def create_first_commit(answers: dict[str, str]) -> str:
    """Create a repository and the first commit, and return the outcome; a git failure never fails the bake."""
    if Path(".git").exists():
        return "The project is in a git repository already; git diff shows the changes."
    try:
        commit(answers)
    except FileNotFoundError:
        return "There is no first commit: git is not installed."
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1]
        return f"There is no first commit: git failed ({reason!a}). The project is complete without it."
    return "The first commit is done; git ignores .env, which contains the secrets."


def main() -> None:
    """Finish the bake in the current folder."""
    answers = json.loads(RENDERED_ANSWERS)
    try:
        remove_unselected_options(answers)
        remove_build_artefacts()
        write_secrets()
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"The bake failed: {error}")
    commands = f"    cd {answers['project_slug']}\n    make run     # serve locally\n    make test    # run the tests"
    print(f"{answers['project_slug']} is baked. {create_first_commit(answers)}\n\nNext:\n{commands}")
    print("    make up      # run the container stack\n    make help    # list all commands")


if __name__ == "__main__":
    main()
