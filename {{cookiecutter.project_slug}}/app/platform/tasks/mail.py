"""Mail by SMTP. Only tasks send mail: a mail server may take seconds, and a task can be retried."""

from __future__ import annotations

import logging
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from app.platform.settings.declarations import Settings

logger = logging.getLogger(__name__)

# No connection, or a rejection by the server. smtplib raises the same classes for temporary and permanent rejections.
RETRYABLE_ERRORS = (OSError, smtplib.SMTPException)


def send(settings: Settings, *, recipient: str, subject: str, text: str) -> None:
    """Send a plain text mail; raises one of `RETRYABLE_ERRORS` if the server does not accept it.

    Without `MAIL_SERVER` nothing is sent, and a warning is logged. With `MAIL_USE_TLS` or `MAIL_USE_SSL`, passwords and
    mails are always encrypted: a server without encryption is an error.
    """
    if not settings.MAIL_SERVER:
        logger.warning("a mail was not sent: MAIL_SERVER is not set", extra={"subject": subject})
        return
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.MAIL_DEFAULT_SENDER, recipient, subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(domain=settings.MAIL_DEFAULT_SENDER.rpartition("@")[2].strip(">"))
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: prevents automatic replies
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
