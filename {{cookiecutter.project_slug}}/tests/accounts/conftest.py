"""A mail server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.smtp import Mailbox, start_smtp


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with start_smtp() as mailbox:
        yield mailbox
