"""The start checks that the newest encrypted values can be decrypted."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import sqlalchemy as sa
from click.testing import Result
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.platform.database.base import db
from app.platform.database.encryption import Keyring
from tests.accounts.factory import make_totp, make_user

pytestmark = [pytest.mark.req("P1"), pytest.mark.fault("F55")]

OTHER_KEY = {"MASTER_ENCRYPTION_KEY": "Kp3v8sWq1Zt6yXn4Rb7mLd0cHf5gJa2e"}


def run(environment: Mapping[str, str], *arguments: str) -> Result:
    app = create_app(environment)
    result = app.test_cli_runner().invoke(args=arguments)
    with app.app_context():
        db.engine.dispose()
    return result


def alter(session: Session, user: User) -> None:
    """Change a display name to a text that no key decrypts."""
    query = sa.text("UPDATE users SET display_name = SUBSTR(display_name, 1, 60) WHERE id = :id")
    session.execute(query, {"id": user.id})
    session.commit()


@pytest.mark.usefixtures("app")
def test_wrong_key_ends_the_start_in_words(environment: Mapping[str, str], session: Session) -> None:
    for name in ("Ann", "Bob", "Cid"):
        make_user(session, display_name=name)

    result = run({**environment, **OTHER_KEY}, "prepare")

    assert result.exit_code == 1
    assert "3 of the newest 3 values of users.display_name cannot be decrypted. The value needs" in result.output
    assert "add the secret of that key to LEGACY_ENCRYPTION_KEYS" in result.output


@pytest.mark.usefixtures("app")
def test_altered_value_is_a_warning(environment: Mapping[str, str], session: Session) -> None:
    make_user(session)
    alter(session, make_user(session, display_name="Ann"))

    prepared, status = run(environment, "prepare"), run(environment, "keys", "status")

    for result in (prepared, status):
        assert result.exit_code == 0, result.output
        assert "warning: 1 of the newest 1 values of users.display_name cannot be decrypted." in result.output
        assert "is corrupt or was tampered with" in result.output


@pytest.mark.usefixtures("app")
def test_few_values_of_an_unknown_key_are_a_warning(environment: Mapping[str, str], session: Session) -> None:
    for name in ("Ann", "Bob"):
        make_user(session, display_name=name)

    assert run({**environment, **OTHER_KEY}, "prepare").exit_code == 0


@pytest.mark.usefixtures("app")
def test_key_that_decrypts_older_values_is_no_wrong_key(
    environment: Mapping[str, str], session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.platform.database.encryption_check.SAMPLE", 3)
    lost = Keyring(["a secret that no setting contains"])
    make_user(session, display_name="Ann")
    for user in [make_user(session) for _ in range(3)]:
        query = sa.text("UPDATE users SET display_name = :value WHERE id = :id")
        session.execute(query, {"value": lost.encrypt("Bob", f"users.display_name:{user.id}"), "id": user.id})
    session.commit()

    result = run(environment, "prepare")

    assert result.exit_code == 0
    assert "warning: 3 of the newest 3 values of users.display_name cannot be decrypted." in result.output


@pytest.mark.usefixtures("app")
def test_start_with_readable_values_says_nothing(environment: Mapping[str, str], session: Session) -> None:
    make_totp(session, make_user(session, display_name="Ann"))

    result = run(environment, "prepare")

    assert (result.exit_code, "decrypted" in result.output) == (0, False)
