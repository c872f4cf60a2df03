"""The running service for tests of the contract."""

from tests.running.conftest import redis, start_web

__all__ = ["redis", "start_web"]
