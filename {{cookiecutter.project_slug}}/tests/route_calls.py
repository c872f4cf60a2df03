"""Calls every route once, successfully; `tests/<feature>/route_calls.py` declares the calls of a feature.

A feature declares:

- `create_rows(app, session, user)`: creates one row of each kind that a user may have many of; may be absent.
- `call_routes(caller)`: calls each of its routes with `caller.call`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.features import FEATURES
from tests.accounts.factory import bearer, make_user
from tests.feature_modules import require_module
from tests.samples import create_object

API = "/api/v1"


@dataclass
class RouteCaller:
    """Calls routes as users that have `count` rows of each kind, and remembers which it called."""

    app: Flask
    session: Session
    count: int
    called: set[str] = field(default_factory=set)

    def user(self, role: str = "user") -> User:
        """Create a user with `count` rows of each kind."""
        user = make_user(self.session, role=role)
        for create_rows in [module.create_rows for module in _modules() if hasattr(module, "create_rows")]:
            for _ in range(self.count):
                create_rows(self.app, self.session, user)
        return user

    def call(self, method: str, rule: str, user: User | None = None, **options: Any) -> Any:
        """Call a route by its rule, with new objects of the user as its ids; return the JSON of the response."""
        self.called.add(f"{method} {rule}")
        path, headers = self.prepare(rule, user)
        response = self.app.test_client().open(path, method=method, headers=headers, **options)
        assert response.status_code < 400, (method, rule, response.text)
        return response.get_json(silent=True)

    def prepare(self, rule: str, user: User | None) -> tuple[str, dict[str, str]]:
        """Return the path of a rule, with new objects of the user as its ids, and the headers of the user."""
        path = re.sub(r"<int:(\w+)>", lambda match: str(self._create_object(user, match[1])), rule)
        return path, bearer(self.app, user) if user else {}

    def call_all(self) -> None:
        """Call every route of every feature."""
        for module in _modules():
            module.call_routes(self)

    def _create_object(self, user: User | None, parameter: str) -> int:
        assert user, f"the route with <int:{parameter}> needs a user"
        return create_object(self.app, self.session, user, parameter)


def _modules() -> Iterator[ModuleType]:
    for feature in FEATURES:
        if feature.blueprints:
            yield require_module(feature.name, "route_calls", "call_routes", reason="routes")
