"""Fixtures of the running service."""

from tests.running.conftest import redis, start_web, start_worker

__all__ = ["redis", "start_web", "start_worker"]
