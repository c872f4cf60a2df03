"""Retries follow one policy: no loop in the service sleeps between attempts or counts them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments import ROOT

# Loops that sleep without a retry, as `file: function`, each with its reason.
EXEMPT = {
    "app/platform/profiling/stack_sampler.py: profile_cpu": "samples at a fixed interval",
    "app/platform/profiling/profile_requests.py: _print_reports": "polls for reports, and repeats no failed operation",
}
LOOPS = (ast.For, ast.AsyncFor, ast.While)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MODULE = "<module>"


def retry_loops(source: str) -> list[str]:
    """Return the name of each function with a loop that sleeps, waits after an error or counts attempts."""
    tree = ast.parse(source)
    imports = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    sleeps = {"sleep"} | {alias.asname for alias in imports if alias.name == "sleep" and alias.asname}
    return list(dict.fromkeys(function for function, loop in _loops(tree, MODULE) if _retries(loop, sleeps)))


def _loops(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield each loop below the node, with the name of the function around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, LOOPS):
            yield function, child
        yield from _loops(child, child.name if isinstance(child, FUNCTIONS) else function)


def _retries(loop: ast.AST, sleeps: set[str]) -> bool:
    called = {_called(node) for node in ast.walk(loop)}
    handlers = [node for node in ast.walk(loop) if isinstance(node, ast.ExceptHandler)]
    if called & sleeps or ("wait" in called and handlers):
        return True
    counts = isinstance(loop, ast.For) and _called(loop.iter) == "range"
    return counts and any(isinstance(handler.body[-1], (ast.Continue, ast.Pass)) for handler in handlers)


def _called(node: ast.AST) -> str:
    """Return the name of the function that this node calls; empty if it is no call."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def sources() -> Iterator[Path]:
    for directory in ("app", "migrations"):
        yield from (ROOT / directory).rglob("*.py")


def test_no_function_retries_in_its_own_loop() -> None:
    found = {
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for path in sources()
        for name in retry_loops(path.read_text(encoding="utf-8"))
    }

    loops = sorted(found - EXEMPT.keys())
    assert not loops, f"retry with attempts() of app/platform/retries.py instead of a loop: {loops}"
    assert not EXEMPT.keys() - found, "remove the exemptions that no loop needs any more"


@pytest.mark.parametrize(
    "body",
    [
        "while True:\n        try:\n            return call()\n        except OSError:\n            time.sleep(1)",
        "for pause in (1, 2, 4):\n        if call():\n            break\n        sleep(pause)",
        "while not call():\n        with lock:\n            time.sleep(0.2)",
        "from time import sleep as pause\n    while not call():\n        pause(1)",
        "while True:\n        try:\n            return call()\n        except OSError:\n            stopped.wait(1)",
        "while not wait(1):\n        try:\n            return call()\n        except OSError:\n            log()",
        "for _ in range(3):\n        try:\n            return call()\n        except OSError:\n            continue",
        "for _ in range(3):\n        try:\n            return call()\n        except OSError:\n            pass",
    ],
    ids=[
        *("sleep in except", "sleep in for", "sleep in while", "alias of sleep"),
        *("Event.wait in except", "wait in while", "continue in range", "pass in range"),
    ],
)
def test_guard_finds_a_retry_loop(body: str) -> None:
    assert retry_loops(f"def connect():\n    {body}\n") == ["connect"]


def test_guard_finds_a_retry_loop_outside_functions() -> None:
    assert retry_loops("while not call():\n    time.sleep(1)\n") == ["<module>"]


@pytest.mark.parametrize(
    "source",
    [
        "def wait():\n    time.sleep(1)\n",
        "def connect():\n    for attempt in attempts(OSError, timeout=1):\n        with attempt:\n            call()\n",
        "def run():\n    while not stopped.wait(1):\n        call()\n",
        "for row in rows:\n    try:\n        call(row)\n    except OSError:\n        pass\n",
    ],
    ids=["single sleep", "retry policy", "wait without except", "next row after an error"],
)
def test_guard_accepts_other_code(source: str) -> None:
    assert retry_loops(source) == []
