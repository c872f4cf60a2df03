"""Finishes a bake: removes what was not chosen, makes the secrets and the first commit, tells what to do next.

cookiecutter renders this file with Jinja and runs it in the new project. Nothing here needs a network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

# JSON never holds three double quotes in a row and escapes control characters, so no answer can end this string.
RENDERED_ANSWERS = r"""{{ cookiecutter | jsonify }}"""

# Which option owns which files and folders: those of a choice that was not made are removed. A test holds this table
# against the source, so a path that is renamed there is renamed here.
OWNED_PATHS: dict[str, dict[str, tuple[str, ...]]] = {
    "proxy": {"nginx": ("deploy/nginx",), "traefik": ("deploy/traefik",)},
    "ci": {"github": (".github",), "gitlab": (".gitlab-ci.yml",), "none": ()},
    "kubernetes": {"yes": ("deploy/kubernetes",), "no": ()},
    "railway": {"yes": ("railway.json",), "no": ()},
}

# What running the source in place leaves behind (CONTRIBUTING.md asks people to do so); none of it is the service.
LEFT_BY_WORK = (
    *("__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"),
    *("build", "instance", ".coverage", "*.db", "*.pyc"),
)

GIT_SECONDS = 60


def remove(path: Path) -> None:
    """Remove a file or a whole folder; one that is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_unchosen(answers: dict[str, str]) -> None:
    """Remove the paths of every choice that was not made."""
    for option, choices in OWNED_PATHS.items():
        for choice in choices.keys() - {answers[option]}:
            for path in choices[choice]:
                remove(Path(path))


def remove_left_by_work() -> None:
    """Remove caches and databases that a worked-in source may hold; in a project baked over they are somebody's own."""
    if Path(".git").exists() or Path(".env.kept").exists():
        return
    for pattern in LEFT_BY_WORK:
        for path in list(Path().rglob(pattern)):
            remove(path)


def write_secrets() -> None:
    """Write .env, readable by its owner alone from its first byte; that of a project baked over is put back."""
    remove(Path(".env"))  # a worked-in source has one, and its secrets are in use elsewhere
    if Path(".env.kept").exists():
        Path(".env.kept").replace(".env")
        return
    made = subprocess.run(
        [sys.executable, "scripts/make_env.py"],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONUTF8": "1"},  # answers may be in any script, whatever the locale
    )
    Path(".env").touch(mode=0o600, exist_ok=False)
    Path(".env").write_bytes(made.stdout)


def git(*arguments: str, settings: tuple[str, ...] = ()) -> str:
    """Run git on this folder alone, whatever repository or hook the bake was started from, and return what it says."""
    foreign = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE"}
    own = {name: value for name, value in os.environ.items() if name not in foreign}
    options = [word for setting in settings for word in ("-c", setting)]
    done = subprocess.run(
        ["git", *options, *arguments],
        check=True,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=own,
        stdin=subprocess.DEVNULL,
        timeout=GIT_SECONDS,
    )
    return done.stdout.strip()


def identity(answers: dict[str, str]) -> tuple[str, ...]:
    """Return the author to commit as where git knows none: the owner of the service."""
    try:
        for role in ("AUTHOR", "COMMITTER"):
            git("var", f"GIT_{role}_IDENT", settings=("user.useConfigOnly=true",))
    except subprocess.CalledProcessError:
        return (f"user.name={answers['organisation']}", f"user.email={answers['email']}")
    return ()


def commit(answers: dict[str, str]) -> None:
    """Make the first commit; somebody's own hooks, ignore list, template or signing key have no say in it."""
    settings = ("init.defaultBranch=main", f"core.excludesFile={os.devnull}", *identity(answers))
    message = f"Bake {answers['project_slug']} from cookiecutter-flask-service"
    git("init", "--quiet", "--template=", settings=settings)
    git("add", "--all", settings=settings)
    git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", message, settings=settings)


def first_commit(answers: dict[str, str]) -> str:
    """Put a new project under git where git is there, and say how that went; it never fails the bake."""
    if Path(".git").exists():
        return "It is under git already: look at the changes with git diff."
    try:
        commit(answers)
    except FileNotFoundError:
        return "git is not installed, so there is no first commit yet."
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1]
        return f"git made no first commit ({reason!a}); the project is complete without it."
    return "Its first commit is made; .env, with its secrets, stays out of git."


def main() -> None:
    """Finish the bake in the current folder."""
    answers = json.loads(RENDERED_ANSWERS)
    try:
        remove_unchosen(answers)
        remove_left_by_work()
        write_secrets()
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"The bake could not be finished: {error}")
    commands = f"    cd {answers['project_slug']}\n    make run     # serves it here\n    make test    # tests it"
    print(f"{answers['project_slug']} is baked. {first_commit(answers)}\n\nNext:\n{commands}")
    print("    make up      # runs the whole stack in containers\n    make help    # lists the rest")


if __name__ == "__main__":
    main()
