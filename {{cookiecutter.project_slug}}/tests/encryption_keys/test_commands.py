"""Tests of `flask keys`, and of the current key in `flask init-db`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
import sqlalchemy as sa
from click.testing import Result
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.encryption_keys.models import EncryptionKey
from app.platform.database.base import utc_now
from app.platform.database.encryption import Keyring
from tests.encryption_keys.stored_names import LOST_RING, NEW, NEW_RING, add_key, decrypted, encrypted, store
from tests.environments import SECRETS

APP_SECRET = SECRETS["MASTER_ENCRYPTION_KEY"]
APP_RING = Keyring([APP_SECRET])
ROTATED = {"MASTER_ENCRYPTION_KEY": NEW, "LEGACY_ENCRYPTION_KEYS": APP_SECRET}


def run(environment: Mapping[str, str], *arguments: str) -> Result:
    return create_app(environment).test_cli_runner().invoke(args=arguments)


@pytest.mark.req("P1")
def test_status_shows_the_current_key_without_warnings(
    environment: Mapping[str, str], session: Session, user: User
) -> None:
    user.display_name = "Ann"
    session.commit()

    result = run(environment, "keys", "status")

    assert result.exit_code == 0
    assert f"{APP_RING.current}  in use         0 days old      users.display_name: 1" in result.output
    assert "warning" not in result.output


@pytest.mark.req("P1")
def test_status_warns_of_a_due_key_and_outdated_values(
    environment: Mapping[str, str], session: Session, user: User, other_user: User
) -> None:
    store(session, user.id, encrypted(APP_RING, "Ann", user.id))
    store(session, other_user.id, encrypted(LOST_RING, "Bob", other_user.id))
    add_key(session, NEW_RING.current, 90)

    result = run({**environment, **ROTATED}, "keys", "status")

    assert result.exit_code == 0
    assert f"{NEW_RING.current}  in use         90 days old     no values" in result.output
    assert "warning: a new key is due after 90 days (ENCRYPTION_KEY_DAYS)" in result.output
    assert f"{APP_RING.current}  legacy         age unknown     users.display_name: 1" in result.output
    assert "warning: some values are not under the current key: run flask keys rotate" in result.output
    assert (
        f"warning: values under the key {LOST_RING.current} cannot be decrypted: its secret is not in "
        "LEGACY_ENCRYPTION_KEYS"
    ) in result.output


@pytest.mark.usefixtures("app")
@pytest.mark.req("P1", "P4")
def test_status_warns_of_a_seal_that_needs_the_earlier_key(environment: Mapping[str, str]) -> None:
    run(environment, "audit-log", "seal")

    before = run({**environment, **ROTATED}, "keys", "status")

    assert "warning: an earlier key signed the newest seal of the audit log" in before.output
    assert "newest seal" not in run(environment, "keys", "status").output


@pytest.mark.req("P1")
def test_rotate_prints_the_rollout_steps_and_its_progress(
    environment: Mapping[str, str], session: Session, user: User
) -> None:
    user_id = user.id
    store(session, user_id, encrypted(APP_RING, "Ann", user_id))

    result = run({**environment, **ROTATED}, "keys", "rotate")

    assert result.exit_code == 0
    assert "1. Add the new secret to LEGACY_ENCRYPTION_KEYS" in result.output
    assert "users.display_name: 1 re-encrypted" in result.output
    assert result.output.endswith("every value is under the current key\n")
    assert decrypted(NEW_RING, session, user_id) == "Ann"


@pytest.mark.req("P1")
def test_rotate_fails_if_a_value_cannot_be_decrypted(
    environment: Mapping[str, str], session: Session, user: User
) -> None:
    store(session, user.id, encrypted(APP_RING, "Ann", user.id))

    result = run({**environment, "MASTER_ENCRYPTION_KEY": NEW}, "keys", "rotate")

    assert result.exit_code == 1
    assert "1 values are still not under the current key: see flask keys status." in result.output


@pytest.mark.req("P1")
@pytest.mark.fault("F64")
def test_unbound_values_are_reported_and_bound_on_request(
    environment: Mapping[str, str], session: Session, user: User
) -> None:
    user_id = user.id
    store(session, user_id, "Ann")

    status, rejected = run(environment, "keys", "status"), run(environment, "keys", "rotate")
    rotated = run({**environment, "ENCRYPTION_ACCEPT_UNBOUND": "true"}, "keys", "rotate")

    assert "none      not bound      age unknown     users.display_name: 1" in status.output
    assert "A value is not bound to its row" in status.output
    assert (rejected.exit_code, rotated.exit_code) == (1, 0)
    assert decrypted(APP_RING, session, user_id) == "Ann"


@pytest.mark.usefixtures("app")
@pytest.mark.req("P1", "D4")
def test_init_db_records_the_key_and_shows_its_age(environment: Mapping[str, str], session: Session) -> None:
    new_key = run(environment, "init-db")
    session.execute(sa.update(EncryptionKey).values(first_used_at=utc_now() - timedelta(days=90)))
    session.commit()
    old_key = run(environment, "init-db")

    assert (new_key.exit_code, old_key.exit_code) == (0, 0)
    assert "encryption key: in use for 0 days\n" in new_key.output
    assert "encryption key: in use for 90 days; a new key is due\n" in old_key.output
