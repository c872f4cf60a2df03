"""Attempts to prove a password or a code: growing waits per account, and failures in the audit log.

Known and unknown accounts are treated alike, so that no response shows which accounts exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self

from flask import current_app

from app.accounts import service
from app.accounts.problem_types import TOO_MANY_FAILED_SIGN_INS
from app.accounts.settings import AccountsSettings
from app.audit import service as audit
from app.platform.api.rate_limits import limiter_of, rejection
from app.platform.database.base import db
from app.platform.security.backoff import Attempt, Rule, backoff
from app.platform.settings.declarations import settings_of
from app.platform.web.client_address import client_network, request_origin
from app.platform.web.problems import Problem

AUDIT_KEY = "failed-sign-ins"  # one count for the whole service
UNKNOWN = "unknown"  # the target of an entry if no account has the e-mail, which is not recorded

SIGN_IN_WAIT = (
    "Too many failed sign-ins for this account. Try again in {wait} s, or request an e-mail to set a new password."
)
CHANGE_WAIT = "Too many wrong passwords. Try again in {wait} s."
CODE_WAIT = "Too many wrong codes for this account. Try again in {wait} s."


@dataclass(frozen=True)
class PasswordAttempt:
    """A `with` block in which an attempt counts as failed until `succeeded` is called or the service itself fails."""

    attempt: Attempt
    known: bool

    def succeeded(self) -> None:
        """Take the failure back; from now on, attempts from this network count by themselves."""
        self._take_back(trust=True)

    def needs_second_factor(self) -> None:
        """Take the failure back, but forget no other one: an attacker may know the password."""
        self._take_back(trust=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        rejected = isinstance(error, Problem) and (error.code or 0) < HTTPStatus.INTERNAL_SERVER_ERROR
        if error and not rejected:
            self._take_back(trust=False)

    def _take_back(self, *, trust: bool) -> None:
        if _enabled():
            backoff().take_back(self.attempt, _rule(), known=self.known, trust=trust)


def start_sign_in(email: str) -> PasswordAttempt:
    """Start an attempt to sign in; raises 429 while the account must wait. It costs no database query."""
    return _start(email, SIGN_IN_WAIT)


def start_second_step(user_id: int) -> PasswordAttempt:
    """Start an attempt to sign in with a code, after a right password; raises 429.

    Codes count apart from passwords: wrong passwords of an attacker must not make the owner's code wait.
    """
    return _start(f"codes of user {user_id}", CODE_WAIT)


def signed_in(user_id: int) -> None:
    """Make the network known for password changes too: wrong passwords from elsewhere must not lock its owner out."""
    if _enabled():
        backoff().trust(Attempt(_session_account(user_id), client_network()))


def second_step_passed(email: str) -> None:
    """Make the network known for passwords, and forget its wrong ones: after the first step, neither is certain."""
    if _enabled():
        backoff().reset(Attempt(email, client_network()), own=True)


def start_password_change(user_id: int) -> PasswordAttempt:
    """Start an attempt to change or confirm a password, which also shows whether a guess is right; raises 429."""
    return _start(_session_account(user_id), CHANGE_WAIT)


def reset(email: str, user_id: int) -> None:
    """Forget the failures of an account whose owner has proved access to its e-mails."""
    if _enabled():
        for account in (email, _session_account(user_id)):
            backoff().reset(Attempt(account, client_network()))


def record_failed_sign_in(email: str) -> None:
    """Add the failure to the audit log, for unknown accounts too; a limit bounds the growth of the log."""
    if limiter_of(current_app).count("RATELIMIT_FAILED_SIGN_IN_AUDIT", AUDIT_KEY):
        session = db.session()
        user = service.find_by_email(session, email)
        target = ("user", user.id if user else UNKNOWN)
        audit.record(session, "user.sign_in_failed", actor_id=None, target=target, origin=request_origin())
        session.commit()


def record_failed_password_change(user_id: int) -> None:
    """Add the failure to the audit log."""
    record_failure("user.password_change_failed", user_id, actor_id=user_id)


def record_failed_reauthentication(user_id: int) -> None:
    """Add the failure to the audit log."""
    record_failure("user.reauthentication_failed", user_id, actor_id=user_id)


def record_failure(action: str, user_id: int, *, actor_id: int | None) -> None:
    """Add a failure of a known user to the audit log; a limit bounds the growth of the log."""
    if limiter_of(current_app).count("RATELIMIT_FAILED_SIGN_IN_AUDIT", AUDIT_KEY):
        session, target = db.session(), ("user", user_id)
        audit.record(session, action, actor_id=actor_id, target=target, origin=request_origin())
        session.commit()


def _start(account: str, message: str) -> PasswordAttempt:
    attempt = Attempt(account, client_network())
    if not _enabled():
        return PasswordAttempt(attempt, known=False)
    started = backoff().start(attempt, _rule())
    if started.wait:
        raise rejection("account", message.format(wait=started.wait), started.wait, TOO_MANY_FAILED_SIGN_INS)
    return PasswordAttempt(attempt, started.known)


def _session_account(user_id: int) -> str:
    """Return the account of a signed-in user, which counts apart: its attempts need a session."""
    return f"session of user {user_id}"


def _enabled() -> bool:
    return settings_of(current_app).RATELIMIT_ENABLED


def _rule() -> Rule:
    settings = settings_of(current_app, AccountsSettings)
    return Rule(settings.SIGN_IN_FREE_FAILURES, settings.SIGN_IN_MAX_WAIT_SECONDS)
