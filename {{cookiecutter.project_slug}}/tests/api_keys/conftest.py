"""Requests with an idempotency key."""

from tests.idempotency.repetitions import post_with_key

__all__ = ["post_with_key"]
