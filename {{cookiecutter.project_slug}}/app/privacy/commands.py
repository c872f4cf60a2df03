"""Keys and erasures, from the command line."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

from app.audit.service import Origin
from app.database import db
from app.personal_data import holdings_of
from app.privacy import rotation, service, tombstones
from app.security import sessions
from app.settings import settings_of
from app.storage import StorageUnavailable, storage_of

keys = AppGroup("keys", help="The keys that encrypt columns.")
erasures = AppGroup("erasures", help="People who were erased.")

BEFORE = """\
A new key is rolled out in two steps, so that no replica meets a value under a key that it does not have:
  1. Put the new secret into LEGACY_ENCRYPTION_KEYS, and replace all containers.
  2. Make it MASTER_ENCRYPTION_KEY, put the earlier one into LEGACY_ENCRYPTION_KEYS, and replace all containers.
Then run this. When it says that nothing is left, drop the earlier secret from LEGACY_ENCRYPTION_KEYS.
"""


@keys.command("status")
def status() -> None:
    """Show the keys: which is in use, how old it is, and how many values are under each."""
    days = settings_of(current_app).ENCRYPTION_KEY_DAYS
    rotation.note_key(db.session())
    for key in rotation.key_states(db.session(), days):
        age = "age unknown" if key.age is None else f"{key.age} days old"
        click.echo(f"{key.kid:<9} {key.state:<14} {age:<15} {_counted(key)}")
        if key.due:
            click.echo(f"warning: a new key is due after {days} days (ENCRYPTION_KEY_DAYS)", err=True)
        if key.values and key.state != "in use":
            click.echo(f"warning: {_advice(key)}", err=True)


def note_key() -> str:
    """Note the key in use, if it is new; says how old it is, and whether another one is due."""
    age = rotation.age_in_days(rotation.note_key(db.session()))
    due = age >= settings_of(current_app).ENCRYPTION_KEY_DAYS
    return f"encryption key: in use for {age} days{'; a new one is due' if due else ''}"


def _counted(key: rotation.KeyState) -> str:
    return ", ".join(f"{column}: {count}" for column, count in key.values.items()) or "no values"


def _advice(key: rotation.KeyState) -> str:
    if key.state == "unknown":
        return (
            f"values are under the key {key.kid}, whose secret is not in LEGACY_ENCRYPTION_KEYS: nobody can read them"
        )
    return "values are not under the key in use: run flask keys rotate"


@keys.command("rotate")
def rotate() -> None:
    """Encrypt everything anew that is not under the key in use. It can be stopped at any point, and run again."""
    click.echo(BEFORE)
    session = db.session()
    rotation.note_key(session)
    renewed = 0
    for progress in rotation.reencrypt(session, Origin(None, "keys-rotate")):
        renewed += progress.renewed
        click.echo(f"{progress.column}: {renewed} encrypted anew")
    if left := rotation.outdated(session):
        raise click.ClickException(f"{left} values are still not under the key in use: see flask keys status.")
    click.echo("nothing is left under another key")


@erasures.command("reapply")
def reapply() -> None:
    """Erase again whoever was erased and came back out of a backup."""
    try:
        _exchange()
    except StorageUnavailable:
        raise click.ClickException("The storage does not answer, so it is not known who was erased.") from None
    click.echo(_erase_again())


def reapply_erasures() -> str:
    """Do that, with the database's own tombstones only while the storage does not answer; says what was done."""
    try:
        _exchange()
    except StorageUnavailable:
        return f"{_erase_again()}; the storage did not answer: later, run flask erasures reapply"
    return _erase_again()


def _exchange() -> None:
    tombstones.exchange(db.session(), storage_of(current_app))


def _erase_again() -> str:
    holdings = holdings_of(current_app).values()
    count, ended = service.erase_again(db.session(), holdings, origin=Origin(None, "erasures-reapply"))
    sessions.end(ended)
    return f"erasures: {count} applied again"
