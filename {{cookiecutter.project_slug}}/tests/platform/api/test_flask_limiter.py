"""Flask-Limiter's commands list every limit, and it registers no request hooks."""

from __future__ import annotations

import inspect

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_limiter import Limiter
from flask_limiter.commands import cli
from redis import Redis, RedisError

from app import create_app
from app.platform.api.rate_limits import limiter_of
from app.platform.api.rate_limits.storage import RateLimitStorage
from app.platform.circuit_breaker import CircuitBreaker
from app.platform.web.route_policy import policy_of
from tests.environments import basic_environment

LOGIN = "/api/v1/auth/login"
WRONG = {"email": "unknown@example.org", "password": "wrong"}


def test_commands_report_disabled_rate_limits() -> None:
    app = create_app(basic_environment(RATELIMIT_ENABLED="false"))

    assert "No Flask-Limiter extension" in app.test_cli_runner().invoke(cli, ["limits"]).output


@pytest.mark.req("A8")
def test_flask_limiter_limits_lists_every_route(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = [line.strip("│├└─ ") for line in app.test_cli_runner().invoke(cli, ["limits"]).output.splitlines()]

    assert sum(" per 1 " in line or line == "Exempt" for line in lines) == len(list(app.url_map.iter_rules()))
    for rule in app.url_map.iter_rules():
        limit = limiter_of(app).limit_of(policy_of(app.view_functions[rule.endpoint]))
        shown = lines[lines.index(f"{rule.endpoint}: {rule.rule}") + 1]
        assert shown == (str(limit.item) if limit else "Exempt"), rule


def test_flask_limiter_clear_starts_a_new_count(app: Flask, client: FlaskClient) -> None:
    for _ in range(6):
        client.post(LOGIN, json=WRONG)

    result = app.test_cli_runner().invoke(
        cli, ["clear", "--path", LOGIN, "--method", "POST", "--key", "address:127.0.0.1", "-y"]
    )

    assert result.exit_code == 0, result.output
    assert client.post(LOGIN, json=WRONG).headers["RateLimit-Remaining"] == "4"


def test_flask_limiter_registers_no_hooks(app: Flask) -> None:
    hooks = [*app.before_request_funcs[None], *app.after_request_funcs[None], *app.teardown_request_funcs.get(None, ())]
    limiter_hooks = [
        hook
        for hook in hooks
        if (inspect.unwrap(getattr(hook, "func", hook)).__module__ or "").startswith("flask_limiter")
    ]

    assert not limiter_hooks, (
        "Flask-Limiter registers its own hooks now, which count each request a second time and cost CPU time: "
        "read Limiter.init_app of this version, and adapt ServiceLimiter.init_app."
    )
    assert Limiter in type(limiter_of(app)).__mro__


@pytest.mark.parametrize("method", [("incr", "ann", 60), ("get", "ann"), ("get_expiry", "ann")])
def test_storage_offers_moving_windows_only(redis: Redis, method: tuple[str, *tuple[object, ...]]) -> None:
    storage = RateLimitStorage(redis=redis, breaker=CircuitBreaker(2), prefix="test")
    name, *arguments = method

    assert storage.base_exceptions is RedisError
    with pytest.raises(NotImplementedError):
        getattr(storage, name)(*arguments)
