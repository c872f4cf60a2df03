"""E-mails to users about what happened to their accounts; sent by tasks, and only if there is a mail server."""

from __future__ import annotations

import re
from datetime import datetime

import sqlalchemy as sa
from celery import shared_task
from flask import current_app
from sqlalchemy.orm import Session

from app.accounts import service
from app.accounts.email_tasks import RETRIES, send_mail
from app.accounts.emails import email_changed_email, notice_email
from app.accounts.models import User, UserSession
from app.platform.database.base import db, utc_now
from app.platform.settings.declarations import settings_of
from app.platform.web.client_address import networks, request_origin

HIDDEN = "(a notice)"  # in place of the arguments of a task, wherever they are shown
NEW_DEVICE = "Someone signed in from a device or network that has not been used for this account recently."
VERSIONS = re.compile(r"[0-9._]+")  # an update of a browser makes no new device


def send(user_id: int, event: str) -> None:
    """Queue an e-mail about an event of this request; without a mail server, do nothing."""
    if settings_of(current_app).MAIL_SERVER:
        arguments = (user_id, event, utc_now().isoformat(), request_origin().address)
        send_notice.try_apply_async(arguments, argsrepr=HIDDEN)


def signed_in(user: User, user_session: UserSession) -> None:
    """Queue an e-mail if the session is on a new device; the first sign-in of an account is none."""
    if settings_of(current_app).MAIL_SERVER and user.last_login_at:
        check_device.try_apply_async((user_session.id,), argsrepr=HIDDEN)


def email_changed(user_id: int, old_email: str) -> None:
    """Queue an e-mail to the old address of a user whose e-mail has changed."""
    if settings_of(current_app).MAIL_SERVER:
        arguments = (user_id, old_email, utc_now().isoformat(), request_origin().address)
        send_email_changed.try_apply_async(arguments, argsrepr=HIDDEN)


@shared_task(name="accounts.send_notice", **RETRIES)
def send_notice(user_id: int, event: str, time: str, address: str | None) -> None:
    """Send a user a notice of an event at a time (ISO 8601 with a zone); an erased user gets none."""
    user = service.get(db.session(), user_id)
    if user is None:
        return
    service_name = settings_of(current_app).SERVICE_NAME
    send_mail(user.email, notice_email(service_name, event, datetime.fromisoformat(time), address))


@shared_task(name="accounts.send_email_changed", **RETRIES)
def send_email_changed(user_id: int, old_email: str, time: str, address: str | None) -> None:
    """Send a notice to the old address of a user at a time (ISO 8601 with a zone); an erased user gets none."""
    if service.get(db.session(), user_id) is not None:
        service_name = settings_of(current_app).SERVICE_NAME
        send_mail(old_email, email_changed_email(service_name, datetime.fromisoformat(time), address))


@shared_task(name="accounts.check_device")
def check_device(session_id: int) -> None:
    """Send a notice if a session is the first of its user on its device."""
    user_session = db.session().get(UserSession, session_id)
    if user_session is not None and is_new_device(db.session(), user_session):
        arguments = (user_session.user_id, NEW_DEVICE, user_session.created_at.isoformat(), user_session.address)
        send_notice.apply_async(arguments, argsrepr=HIDDEN)


def is_new_device(session: Session, user_session: UserSession) -> bool:
    """Whether no earlier stored session of the user is from the same network and the same program.

    Sessions are stored for `user_sessions.SESSION_RETENTION` after their end.
    """
    earlier = sa.select(UserSession.address, UserSession.user_agent).where(
        UserSession.user_id == user_session.user_id, UserSession.id < user_session.id
    )
    device = _device(user_session.address, user_session.user_agent)
    return all(_device(*row) != device for row in session.execute(earlier.distinct()))


def _device(address: str | None, user_agent: str | None) -> tuple[str, str]:
    """Return the narrowest network of an address, and a program without its versions."""
    return networks(address or "")[0][0], VERSIONS.sub("", user_agent or "")
