"""Keys and erasures, from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.database import now
from app.privacy.models import EncryptionKey
from app.security.encryption import Keyring
from app.storage import Storage
from tests.environments import SECRETS
from tests.privacy.test_rotation import NEW, NEW_RING, note, store, stored

OLD_RING = Keyring([SECRETS["MASTER_ENCRYPTION_KEY"]])
ROTATED = {"MASTER_ENCRYPTION_KEY": NEW, "LEGACY_ENCRYPTION_KEYS": SECRETS["MASTER_ENCRYPTION_KEY"]}


def run(environment: Mapping[str, str], *arguments: str) -> Result:
    return create_app(environment).test_cli_runner().invoke(args=arguments)


@pytest.mark.req("P1")
def test_status_shows_the_key_in_use_and_complains_of_nothing(
    environment: Mapping[str, str], session: Session, user: User
) -> None:
    user.display_name = "Ann"
    session.commit()

    result = run(environment, "keys", "status")

    assert result.exit_code == 0
    assert f"{OLD_RING.current}  in use         0 days old      users.display_name: 1" in result.output
    assert "warning" not in result.output


@pytest.mark.req("P1")
def test_status_warns_of_a_key_that_is_due_and_of_values_under_others(
    environment: Mapping[str, str], session: Session, user: User, other_user: User
) -> None:
    lost = Keyring(["a secret that nobody has any more"])
    store(session, user.id, OLD_RING.encrypt("Ann"))
    store(session, other_user.id, lost.encrypt("Bob"))
    note(session, NEW_RING.current, 90)

    result = run({**environment, **ROTATED}, "keys", "status")

    assert result.exit_code == 0
    assert f"{NEW_RING.current}  in use         90 days old     no values" in result.output
    assert "warning: a new key is due after 90 days (ENCRYPTION_KEY_DAYS)" in result.output
    assert f"{OLD_RING.current}  legacy         age unknown     users.display_name: 1" in result.output
    assert "warning: values are not under the key in use: run flask keys rotate" in result.output
    assert f"warning: values are under the key {lost.current}, whose secret is not in LEGACY_ENCRYPTION_KEYS" in (
        result.output
    )


@pytest.mark.req("P1")
def test_rotate_says_what_to_do_before_how_far_it_is_and_when_it_is_done(
    environment: Mapping[str, str], session: Session, user: User
) -> None:
    user_id = user.id
    store(session, user_id, OLD_RING.encrypt("Ann"))

    result = run({**environment, **ROTATED}, "keys", "rotate")

    assert result.exit_code == 0
    assert "1. Put the new secret into LEGACY_ENCRYPTION_KEYS" in result.output
    assert "users.display_name: 1 encrypted anew" in result.output
    assert result.output.endswith("nothing is left under another key\n")
    assert NEW_RING.decrypt(stored(session, user_id)) == "Ann"


@pytest.mark.req("P1")
def test_rotate_fails_while_there_is_what_nobody_can_read(
    environment: Mapping[str, str], session: Session, user: User
) -> None:
    user_id = user.id
    store(session, user_id, OLD_RING.encrypt("Ann"))

    result = run({**environment, "MASTER_ENCRYPTION_KEY": NEW}, "keys", "rotate")

    assert result.exit_code == 1
    assert "1 values are still not under the key in use: see flask keys status." in result.output


@pytest.mark.req("P1", "D4")
def test_init_db_notes_the_key_and_tells_its_age(environment: Mapping[str, str], app: Flask, session: Session) -> None:
    fresh = run(environment, "init-db")
    session.execute(sa.update(EncryptionKey).values(first_used_at=now() - timedelta(days=90)))
    session.commit()
    old = run(environment, "init-db")

    assert (fresh.exit_code, old.exit_code) == (0, 0)
    assert "encryption key: in use for 0 days\n" in fresh.output
    assert "encryption key: in use for 90 days; a new one is due\n" in old.output


def test_reapplying_when_nobody_was_erased_changes_nothing(app: Flask, session: Session, storage: Storage) -> None:
    result = app.test_cli_runner().invoke(args=["erasures", "reapply"])

    assert (result.exit_code, result.output) == (0, "erasures: 0 applied again\n")
