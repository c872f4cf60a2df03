"""Mail, by SMTP. Called by tasks only: a mail server may take seconds, and a task can try again."""

from __future__ import annotations

import logging
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from app.settings import Settings

logger = logging.getLogger(__name__)

# What is worth another try, later: no connection, or a server that says no for now.
TRY_AGAIN = (OSError, smtplib.SMTPException)


def send(settings: Settings, *, recipient: str, subject: str, text: str) -> None:
    """Send a plain text mail; raises one of `TRY_AGAIN` when the server does not take it.

    Without `MAIL_SERVER` nothing is sent, which is logged. Passwords and mails never leave unencrypted where
    `MAIL_USE_TLS` or `MAIL_USE_SSL` is on: a server that cannot encrypt is an error.
    """
    if not settings.MAIL_SERVER:
        logger.warning("a mail was not sent: MAIL_SERVER is not set", extra={"subject": subject})
        return
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.MAIL_DEFAULT_SENDER, recipient, subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(domain=settings.MAIL_DEFAULT_SENDER.rpartition("@")[2].strip(">"))
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps holiday replies away
    message.set_content(text)
    with _connect(settings, settings.MAIL_SERVER) as server:
        if settings.MAIL_USERNAME:
            server.login(settings.MAIL_USERNAME, settings.MAIL_PASSWORD or "")
        server.send_message(message)


def _connect(settings: Settings, host: str) -> smtplib.SMTP:
    context = ssl.create_default_context()
    port, timeout = settings.MAIL_PORT, settings.MAIL_TIMEOUT_SECONDS
    if settings.MAIL_USE_SSL:
        return smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
    server = smtplib.SMTP(host, port, timeout=timeout)
    if settings.MAIL_USE_TLS:
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server
