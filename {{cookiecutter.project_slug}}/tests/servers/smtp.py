"""A mail server on a free port that stores every mail it receives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller

from .processes import free_port, wait_until


class Mailbox:
    """The received mails, oldest first."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.messages: list[EmailMessage] = []
        self.refusals = 0  # number of mails that are rejected with 451 before one is accepted

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a service that uses this server."""
        return {
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(self.port),
            "MAIL_USE_TLS": "false",
            "PUBLIC_BASE_URL": "https://service.example.org",
        }

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802 - the library's name
        if self.refusals:
            self.refusals -= 1
            return "451 try again later"
        content: bytes = envelope.content  # type: ignore[attr-defined] # untyped
        self.messages.append(message_from_bytes(content, policy=policy.default))
        return "250 OK"

    def wait(self, count: int = 1, timeout: float = 60) -> EmailMessage:
        """Wait for `count` mails; returns the last of these."""
        if not wait_until(lambda: len(self.messages) >= count, timeout):
            raise TimeoutError(f"{len(self.messages)} of {count} mails in {timeout} s")
        return self.messages[count - 1]


@contextmanager
def start_smtp() -> Iterator[Mailbox]:
    """Run a server that accepts any mail, without encryption."""
    mailbox = Mailbox(free_port())
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
