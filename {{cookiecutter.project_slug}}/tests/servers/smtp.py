"""A mail server on a free port, which keeps what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller

from .processes import free_port, wait_until


class Mailbox:
    """The mails that came in, oldest first."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.messages: list[EmailMessage] = []
        self.refusals = 0  # so many mails are refused for now, before the first is taken

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802 - the library's name
        if self.refusals:
            self.refusals -= 1
            return "451 try again later"
        content: bytes = envelope.content  # type: ignore[attr-defined] # untyped
        self.messages.append(message_from_bytes(content, policy=policy.default))
        return "250 OK"

    def wait(self, count: int = 1, timeout: float = 20) -> EmailMessage:
        """Return the mail that makes it ``count``, once it is there."""
        if not wait_until(lambda: len(self.messages) >= count, timeout):
            raise TimeoutError(f"{len(self.messages)} mails came in {timeout} s, and not {count}")
        return self.messages[count - 1]


@contextmanager
def start_smtp() -> Iterator[Mailbox]:
    """A server that takes any mail, without encryption."""
    mailbox = Mailbox(free_port())
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
