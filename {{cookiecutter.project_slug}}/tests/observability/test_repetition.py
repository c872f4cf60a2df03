"""No route of the service asks the database more often because there is more in it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.accounts import service
from app.accounts.models import User
from app.redis_client import redis_of
from app.security import tokens
from tests.accounts.factory import PASSWORD, bearer, make_session, make_user
from tests.api_keys.factory import make_key
from tests.data_files.factory import CSV, make_file, make_run
from tests.locations.factory import make_location
from tests.observability.test_metrics import samples
from tests.routes import routes

API = "/api/v1"
NEXT = "another password 2"


def make_things(app: Flask, session: Session, user: User, count: int) -> None:
    """So many of everything that a user may have, and so many other users."""
    for _ in range(count):
        make_session(session, user)
        make_location(session, user)
        make_location(session, make_user(session))
        make_key(session, user, "files:read")
        make_run(session, make_file(app, session, user))


@dataclass
class Walk:
    """A walk over every route, by people who have so many of everything."""

    app: Flask
    session: Session
    count: int
    went: set[str] = field(default_factory=set)

    def user(self, role: str = "user") -> User:
        user = make_user(self.session, role=role)
        make_things(self.app, self.session, user, self.count)
        return user

    def call(self, method: str, rule: str, user: User | None = None, part: int = 0, **options: Any) -> Any:
        self.went.add(f"{method} {rule}")
        headers = bearer(self.app, user) if user else {}
        path = rule.replace("<int:", "<").partition("<")
        address = f"{path[0]}{part}{path[2].partition('>')[2]}" if path[1] else rule
        answer = self.app.test_client().open(address, method=method, headers=headers, **options)
        assert answer.status_code < 400, (method, rule, answer.text)
        return answer.get_json(silent=True)

    def accounts(self) -> None:
        user, known = self.user(), {"email": f"new{self.count}@example.org", "password": PASSWORD}
        self.call("POST", f"{API}/auth/register", json=known)
        given = {"email": user.email, "password": PASSWORD}
        pair = self.call("POST", f"{API}/auth/login", json=given)
        self.call("POST", f"{API}/auth/refresh", json={"refresh_token": pair["refresh_token"]})
        self.call("GET", f"{API}/users/me", user)
        self.call("PATCH", f"{API}/users/me", user, json={"display_name": "Ada"})
        self.call("POST", f"{API}/auth/forgot-password", json={"email": user.email})
        self.call("POST", f"{API}/auth/logout", user, json={"everywhere": True})
        change = {"current_password": PASSWORD, "new_password": NEXT}
        self.call("POST", f"{API}/auth/change-password", self.user(), json=change)
        forgetful = self.user()
        with self.app.app_context():
            token = tokens.sign(tokens.RESET, forgetful.id, 60, mark=service.fingerprint(forgetful))
        self.call("POST", f"{API}/auth/reset-password", json={"token": token, "new_password": NEXT})
        for path in (f"{API}/users/me/data-export", "/api/user/data-export"):
            self.call("GET", path, self.user())
        self.call("DELETE", f"{API}/users/me", self.user(), json={"password": PASSWORD})

    def things(self) -> None:
        user = self.user()
        key, _ = make_key(self.session, user, "files:read")
        position = {"latitude": 1.0, "longitude": 2.0}
        self.call("GET", f"{API}/api-keys", user)
        self.call("POST", f"{API}/api-keys", user, json={"name": "a key", "scopes": ["files:read"]})
        self.call("DELETE", f"{API}/api-keys/<int:key_id>", user, key.id)
        self.call("GET", f"{API}/locations", user)
        self.call("GET", f"{API}/locations/active", user)
        self.call("POST", f"{API}/locations", user, json=position)
        self.call("POST", f"{API}/locations/batch", user, json={"locations": [position] * self.count})

    def files(self) -> None:
        user = self.user()
        file = make_file(self.app, self.session, user)
        run = make_run(self.session, file)
        form = {"file": (io.BytesIO(CSV), "people.csv")}
        self.call("GET", f"{API}/data-files", user)
        self.call("POST", f"{API}/data-files", user, data=form, content_type="multipart/form-data")
        self.call("GET", f"{API}/data-files/<int:file_id>", user, file.id)
        self.call("GET", f"{API}/data-files/<int:file_id>/content", user, file.id)
        self.call("POST", f"{API}/data-files/<int:file_id>/tests", user, file.id, json={})
        self.call("GET", f"{API}/tests", user)
        self.call("GET", f"{API}/tests/<int:run_id>", user, run.id)
        self.call("DELETE", f"{API}/data-files/<int:file_id>", user, file.id)

    def administration(self) -> None:
        admin, user = self.user("admin"), self.user()
        self.call("GET", f"{API}/admin/users", admin)
        self.call("GET", f"{API}/admin/stats", admin)
        self.call("GET", f"{API}/admin/audit-logs", admin)
        self.call("PUT", f"{API}/admin/users/<int:user_id>/role", admin, user.id, json={"role": "admin"})
        self.call("POST", f"{API}/admin/users/<int:user_id>/reset-password", admin, user.id, json={})

    def queries(self) -> dict[str, float]:
        """How many there were since the process began, by route."""
        told = samples(self.app.test_client(), "db_queries_per_request_sum")
        return {f"{dict(labels)['method']} {dict(labels)['endpoint']}": total for labels, total in told.items()}

    def go(self) -> dict[str, float]:
        """How many queries each route sent on the way."""
        before = self.queries()
        for part in (self.accounts, self.things, self.files, self.administration):
            part()
        after = self.queries()
        return {route: after.get(route, 0) - before.get(route, 0) for route in self.went}


@pytest.fixture
def service_app(app: Flask, environment: Mapping[str, str], tmp_path: Path) -> Flask:
    """The service, profiled; `app` is asked for so that its tables are emptied afterwards."""
    settings = {"ENABLE_DB_PROFILING": "true", "RATELIMIT_ENABLED": "false", "STORAGE_URL": tmp_path.as_uri()}
    return create_app({**environment, **settings})


@pytest.mark.req("O6")
def test_no_route_asks_more_often_where_there_is_more(
    service_app: Flask, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    few = Walk(service_app, session, 2).go()
    if redis := redis_of(service_app):
        redis.flushdb()  # or else the second walk would be spared questions by what the first left in the cache
    walk = Walk(service_app, session, 12)
    many = walk.go()

    assert {route: many[route] for route in many if many[route] > few[route]} == {}
    assert [vars(record) for record in caplog.records if record.message == "repeated query"] == []
    every = {str(route) for route in routes(service_app) if not route.rule.rule.startswith("/api/v2/")}
    assert walk.went == every, "have the walk take in the new route"
    assert sum(many.values()) > len(many)
