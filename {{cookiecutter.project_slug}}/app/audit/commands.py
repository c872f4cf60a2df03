"""Commands for the audit log: `flask audit-log`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from app.audit import seals, service
from app.audit.seal_copy import CopyMismatch, SealCopy
from app.audit.seals import Link, SealSigner, UnconfirmedSeal
from app.audit.settings import AuditSettings
from app.audit.verification import OVERDUE, Verification
from app.platform.components import platform_of
from app.platform.database.base import db, utc_now
from app.platform.operations import protection
from app.platform.settings.declarations import settings_of
from app.platform.storage import StorageUnavailable, storage_of
from app.platform.web.client_address import RequestOrigin

MAX_LINES = 100  # problems that the command prints

audit_log = AppGroup("audit-log", help="Seal and verify the audit log.")


def init_app(app: Flask) -> None:
    """Derive the keys that sign seals."""
    platform_of(app).add(SealSigner(settings_of(app).encryption_keys))


def signer_of(app: Flask) -> SealSigner:
    """Return the keys of an app."""
    return platform_of(app).get(SealSigner)


def copy_of(app: Flask) -> SealCopy:
    """Return the copy of the newest seal in the storage of an app."""
    return SealCopy(storage_of(app), signer_of(app))


def delay_of(app: Flask) -> timedelta:
    """Return the age at which entries are sealed."""
    return timedelta(seconds=settings_of(app, AuditSettings).AUDIT_SEAL_DELAY_SECONDS)


@audit_log.command("seal")
@click.option("--replace-copy", is_flag=True, help="Accept a chain that differs from its copy, as after a restore.")
@click.option("--accept-key", default="", metavar="ID", help="Accept the newest seal, whose key is lost.")
def seal(*, replace_copy: bool, accept_key: str) -> None:
    """Seal the entries that are old enough, and copy the newest seal to the storage."""
    session, signer, delay = db.session(), signer_of(current_app), delay_of(current_app)
    try:
        newest = seals.confirmed_link(session, signer, accept_key)
        if replace_copy:
            _record(session, "audit.copy_replaced", newest)
        if accept_key and accept_key == newest.key_id:
            _record(session, "audit.key_accepted", newest, key_id=accept_key)
        count = sum(seals.seal(session, signer, delay, accept_key))
        rest = f"; entries of the last {delay.total_seconds():g} seconds are sealed later" if delay else ""
        click.echo(f"audit log: {count} entries sealed{rest}")
        copy_of(current_app).update(session, replace=replace_copy)
    except (CopyMismatch, UnconfirmedSeal) as error:
        raise click.ClickException(str(error)) from None
    except StorageUnavailable:
        raise click.ClickException("The storage is unavailable, so the newest seal was not copied.") from None


def _record(session: Session, action: str, newest: Link, **details: str) -> None:
    origin, target = RequestOrigin(None, "audit-log-seal"), ("audit_seal", newest.seal_id)
    service.record(session, action, actor_id=None, target=target, origin=origin, **details)
    session.commit()


@audit_log.command("verify")
def verify() -> None:
    """Find changed, missing and added entries and seals; exit with 1 if there are any."""
    verification = Verification(db.session(), signer_of(current_app), delay_of(current_app))
    count = 0
    for problem in problems(verification):
        count += 1
        if count <= MAX_LINES:
            click.echo(f"problem: {problem}")
    if count > MAX_LINES:
        click.echo(f"and {count - MAX_LINES} more problems")
    click.echo(
        f"audit log: {verification.entries} entries in {verification.seals} seals verified; {verification.unsealed} "
        "newer entries are not sealed yet, so a change of them cannot be found"
    )
    if count:
        raise click.ClickException(f"The audit log has {count} problem{'s' if count > 1 else ''}.")


def problems(verification: Verification) -> Iterator[str]:
    """Yield the problems of the triggers, the entries, the seals and the copy of the newest seal."""
    yield from protection.problems()
    yield from verification.problems()
    yield from _copy_problems(verification.session)


def _copy_problems(session: Session) -> Iterator[str]:
    try:
        copied = copy_of(current_app).check(session)
    except CopyMismatch as error:
        yield str(error)
    except StorageUnavailable:
        yield "The storage is unavailable, so the chain was not compared with its copy."
    else:
        if seals.has_seal_before(session, copied.seal_id if copied else 0, utc_now() - OVERDUE):
            found = f"shows seal {copied.seal_id} only" if copied else "was deleted, or never written"
            yield f"The copy of the newest seal in the storage {found}. Run: flask audit-log seal"
