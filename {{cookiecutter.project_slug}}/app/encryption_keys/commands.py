"""Commands for encryption keys: `flask keys`."""

from __future__ import annotations

from collections import Counter

import click
from flask import current_app
from flask.cli import AppGroup

from app.audit import service as audit
from app.encryption_keys import service
from app.encryption_keys.settings import EncryptionKeysSettings
from app.platform.database.base import db
from app.platform.database.encryption import NOT_BOUND
from app.platform.database.encryption_check import unreadable_samples
from app.platform.settings.declarations import settings_of
from app.platform.web.client_address import RequestOrigin

keys = AppGroup("keys", help="Manage the keys that encrypt columns.")

ROLLOUT_STEPS = """\
Roll out a new key in two steps, so that no replica reads a value under a key that it does not have:
  1. Add the new secret to LEGACY_ENCRYPTION_KEYS, and replace all containers.
  2. Make it MASTER_ENCRYPTION_KEY, move the earlier one to LEGACY_ENCRYPTION_KEYS, and replace all containers.
Then run this command. When no value is left under another key, remove the earlier secret from LEGACY_ENCRYPTION_KEYS.
"""


@keys.command("status")
def status() -> None:
    """Show each key: its state, its age, and the number of values under it; decrypt the newest values."""
    days = settings_of(current_app, EncryptionKeysSettings).ENCRYPTION_KEY_DAYS
    service.record_current_key(db.session())
    for key in service.key_states(db.session(), days):
        age = "age unknown" if key.age is None else f"{key.age} days old"
        click.echo(f"{key.kid:<9} {key.state:<14} {age:<15} {_format_counts(key)}")
        if key.due:
            click.echo(f"warning: a new key is due after {days} days (ENCRYPTION_KEY_DAYS)", err=True)
        if key.values and key.state != "in use":
            click.echo(f"warning: {_advice(key)}", err=True)
    if audit.needs_earlier_key(db.session(), settings_of(current_app).encryption_keys):
        click.echo("warning: an earlier key signed the newest seal of the audit log: keep it, and seal again", err=True)
    for sample in unreadable_samples():
        click.echo(f"warning: {sample}", err=True)


def record_current_key() -> str:
    """Record the current key if it is new; returns a message with its age, and that a new key is due if it is."""
    age = service.age_in_days(service.record_current_key(db.session()))
    due = age >= settings_of(current_app, EncryptionKeysSettings).ENCRYPTION_KEY_DAYS
    return f"encryption key: in use for {age} days{'; a new key is due' if due else ''}"


def _format_counts(key: service.KeyState) -> str:
    return ", ".join(f"{column}: {count}" for column, count in key.values.items()) or "no values"


def _advice(key: service.KeyState) -> str:
    if key.kid == service.UNBOUND:
        return NOT_BOUND
    if key.state == "unknown":
        return f"values under the key {key.kid} cannot be decrypted: its secret is not in LEGACY_ENCRYPTION_KEYS"
    return "some values are not under the current key: run flask keys rotate"


@keys.command("rotate")
def rotate() -> None:
    """Re-encrypt every value that is not under the current key. You can stop and rerun it at any time."""
    click.echo(ROLLOUT_STEPS)
    session = db.session()
    service.record_current_key(session)
    totals = Counter[str]()
    for progress in service.reencrypt(session, RequestOrigin(None, "keys-rotate")):
        totals[progress.column] += progress.reencrypted
        click.echo(f"{progress.column}: {totals[progress.column]} re-encrypted")
    if outdated := service.count_outdated(session):
        raise click.ClickException(f"{outdated} values are still not under the current key: see flask keys status.")
    click.echo("every value is under the current key")
