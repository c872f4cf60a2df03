"""Imports the modules in which a feature declares its part of the tests over all features."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def find_module(feature: str, name: str) -> ModuleType | None:
    """Return `tests/<feature>/<name>.py`; None if the file does not exist."""
    module = f"tests.{feature}.{name}"
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in (module, module.rpartition(".")[0]):
            raise  # the module exists and imports a missing one
        return None


def require_module(feature: str, name: str, *declarations: str, reason: str, example: str = "accounts") -> ModuleType:
    """Return `tests/<feature>/<name>.py`; raises `LookupError` with the fix unless it declares these names."""
    module = find_module(feature, name)
    missing = [declaration for declaration in declarations if not hasattr(module, declaration)]
    if module is None or missing:
        action = "add to" if module else "create"
        raise LookupError(
            f"The feature {feature} has {reason}: {action} tests/{feature}/{name}.py: {', '.join(missing)}"
            f" (see tests/{example}/{name}.py)."
        )
    return module
