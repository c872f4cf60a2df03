"""Fixtures of the running service."""

from tests.running.conftest import own_redis, redis, start_web, web

__all__ = ["own_redis", "redis", "start_web", "web"]
