"""Requests with an idempotency key, and a mail server."""

from tests.accounts.conftest import mailbox
from tests.idempotency.repetitions import post_with_key

__all__ = ["mailbox", "post_with_key"]
