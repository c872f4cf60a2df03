"""Starts commands of the service as they run in production."""

from __future__ import annotations

from tests.environments import ROOT, production_environment
from tests.servers import RedisServer, RunningService


def start_flask(database_url: str, redis: RedisServer, *arguments: str, **settings: str) -> RunningService:
    """Start `flask` with these arguments; leaving its `with` block ends it."""
    environment = production_environment(database_url, redis.url, **settings)
    return RunningService(["flask", "--app", "wsgi", *arguments], environment, folder=ROOT)
