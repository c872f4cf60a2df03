"""Samples for the tests over all features; `tests/<feature>/samples.py` declares those of a feature.

A feature declares only the names that it needs:

- `OBJECTS`: how an object of a user is created, by the name of its id in paths.
- `PUBLIC_ROUTES`: its routes that need no credentials, as paths below `/api/<version>/`.
- `CREDENTIALS`: headers, other than an access token, that give a user every scope; by name.
- `FUZZ_BODIES`: the members of a body that only the service can issue, such as a token; by operation id.
- `FUZZ_ENDS_SESSION`: the operation ids that end the session of the caller or delete the account.
- `FUZZ_FORMATS`: how the fuzzer generates strings of a format of this feature.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import TypeAlias

from flask import Flask
from hypothesis.strategies import SearchStrategy
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.features import FEATURES
from tests.feature_modules import find_module

CreateObject: TypeAlias = Callable[[Flask, Session, User], int]
CreateTexts: TypeAlias = Callable[[Flask, Session, User], dict[str, str]]


def create_object(app: Flask, session: Session, user: User, parameter: str) -> int:
    """Create an object of the user and return its id; `parameter` is the name of the id in paths, like `file_id`."""
    create = objects().get(parameter)
    if create is None:
        raise LookupError(
            f"No feature declares how the object of <int:{parameter}> is created: "
            f'add "{parameter}" to OBJECTS in tests/<feature>/samples.py (see tests/accounts/samples.py).'
        )
    return create(app, session, user)


def objects() -> dict[str, CreateObject]:
    """Return how objects are created, by the name of their id in paths."""
    return {name: create for module in _modules() for name, create in getattr(module, "OBJECTS", {}).items()}


def public_routes() -> frozenset[str]:
    """Return the paths below `/api/<version>/` that need no credentials."""
    return frozenset(path for module in _modules() for path in getattr(module, "PUBLIC_ROUTES", ()))


def credentials() -> dict[str, CreateTexts]:
    """Return how headers other than an access token are created, by name."""
    return {name: create for module in _modules() for name, create in getattr(module, "CREDENTIALS", {}).items()}


def fuzz_bodies() -> dict[str, CreateTexts]:
    """Return how the members of a body that only the service can issue are created, by operation id."""
    return {name: create for module in _modules() for name, create in getattr(module, "FUZZ_BODIES", {}).items()}


def fuzz_ends_session() -> frozenset[str]:
    """Return the operation ids that end the session of the caller or delete the account."""
    return frozenset(name for module in _modules() for name in getattr(module, "FUZZ_ENDS_SESSION", ()))


def fuzz_formats() -> dict[str, SearchStrategy[str]]:
    """Return how strings of the formats of the features are generated."""
    return {name: texts for module in _modules() for name, texts in getattr(module, "FUZZ_FORMATS", {}).items()}


def audit_actions() -> dict[str, str]:
    """Return the table that each action of the audit log changes, by action.

    `a|b`: one of two tables; empty: the entry records an event.
    """
    return {action: table for module in _modules() for action, table in getattr(module, "AUDIT_ACTIONS", {}).items()}


@cache
def _modules() -> tuple[ModuleType, ...]:
    return tuple(module for feature in FEATURES if (module := find_module(feature.name, "samples")))
