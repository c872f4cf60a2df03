"""Imports the programs of `scripts/`, which is no package."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from tests.environments import ROOT


def import_script(name: str) -> ModuleType:
    """Import `scripts/<name>.py`."""
    spec = spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
