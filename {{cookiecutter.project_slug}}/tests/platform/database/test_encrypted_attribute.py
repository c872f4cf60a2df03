"""Attributes of encrypted columns: what the database stores, what the app reads, and values that it rejects."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.platform.database.base import db
from app.platform.database.encryption import (
    Keyring,
    set_keyring,
)
from tests.accounts.factory import PASSWORD, bearer, make_user
from tests.environments import basic_environment

NEW = "a newer secret " * 3
NAME = "Ångström 🦆 'quoted' -- \\ %s"


def stored_name(session: Session, user: User) -> str:
    query = sa.text("SELECT display_name FROM users WHERE id = :id")
    stored: str = session.execute(query, {"id": user.id}).scalar_one()
    return stored


def change_stored_name(session: Session, user: User, value: str) -> None:
    session.execute(sa.text("UPDATE users SET display_name = :value WHERE id = :id"), {"value": value, "id": user.id})
    session.commit()


@pytest.mark.req("P1")
def test_database_stores_ciphertext_only(session: Session, secret: str) -> None:
    user = make_user(session, display_name=secret)

    stored = stored_name(session, user)

    assert stored.startswith("enc2:")
    assert secret not in stored
    session.expire_all()
    assert user.display_name == secret


@pytest.mark.parametrize("name", [None, "", NAME, "x" * 100, "🦆" * 100])
def test_encrypted_names_round_trip(session: Session, name: str | None) -> None:
    user = make_user(session)
    user.display_name = name
    session.commit()

    session.expire_all()

    assert user.display_name == name


@pytest.mark.req("P1")
@pytest.mark.fault("F64")
def test_name_copied_from_another_user_reads_as_empty(
    app: Flask, client: FlaskClient, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    ada, bob = make_user(session, display_name="Ada"), make_user(session, display_name="Bob")
    change_stored_name(session, bob, stored_name(session, ada))

    profile = client.get("/api/v1/users/me", headers=bearer(app, bob))

    session.refresh(bob)
    assert (profile.get_json()["display_name"], bob.display_name, ada.display_name) == (None, None, "Ada")
    assert f"The value of users.display_name:{bob.id} was copied from users.display_name:{ada.id}." in caplog.text


@pytest.mark.req("P1")
@pytest.mark.fault("F64")
def test_plain_text_written_into_a_row_reads_as_empty(session: Session, user: User) -> None:
    change_stored_name(session, user, "Ann")

    session.refresh(user)

    assert user.display_name is None


@pytest.mark.req("P1")
def test_plain_text_is_readable_while_its_column_becomes_encrypted(app: Flask, session: Session, user: User) -> None:
    change_stored_name(session, user, "Ann")
    with app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
    accepting = create_app(basic_environment(DATABASE_URL=url, ENCRYPTION_ACCEPT_UNBOUND="true"))

    with accepting.app_context():
        name = db.session.get_one(User, user.id).display_name
        db.session.remove()
        db.engine.dispose()

    assert name == "Ann"


def test_new_row_has_its_text_before_and_after_the_insert(session: Session) -> None:
    user = User(email="ann@example.com", password_hash="-", display_name="Ann")
    before = user.display_name
    session.add(user)
    session.flush()
    updated_at = user.updated_at
    after = user.display_name
    session.commit()
    session.refresh(user)

    assert (before, after, user.display_name) == ("Ann", "Ann", "Ann")
    assert user.updated_at == updated_at


def test_text_without_a_place_is_not_written(session: Session) -> None:
    with pytest.raises(StatementError, match="set its EncryptedAttribute instead"):
        session.execute(sa.update(User).values({User.display_name: "Ann"}))


@pytest.mark.fault("F55")
def test_altered_value_reads_as_empty_and_is_logged(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    user = make_user(session, display_name="Ann")
    change_stored_name(session, user, stored_name(session, user)[:-3] + "AA=")

    session.refresh(user)

    assert user.display_name is None
    assert "an encrypted value reads as empty: A value of the encryption key" in caplog.text


@pytest.mark.fault("F55")
@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "enc2:00000000:gAAAAA" + "A" * 80,
        lambda stored: f"{stored[:40]}éééé{stored[44:]}",
        lambda stored: stored[:40],
    ],
    ids=["another key", "not ASCII", "cut"],
)
def test_altered_value_fails_no_request(
    app: Flask, client: FlaskClient, session: Session, damage: Callable[[str], str]
) -> None:
    admin = make_user(session, role="admin", display_name="Ann")
    change_stored_name(session, admin, damage(stored_name(session, admin)))
    headers = bearer(app, admin)
    credentials = {"email": admin.email, "password": PASSWORD}

    requests = {
        "sign-in": client.post("/api/v1/auth/login", json=credentials),
        "profile": client.get("/api/v1/users/me", headers=headers),
        "users": client.get("/api/v1/admin/users", headers=headers),
        "export": client.get("/api/v1/users/me/data-export", headers=headers, buffered=True),
        "change": client.patch("/api/v1/users/me", json={"display_name": "Ada"}, headers=headers),
    }

    assert {name: response.status_code for name, response in requests.items()} == dict.fromkeys(requests, 200)
    assert requests["profile"].get_json()["display_name"] is None
    assert requests["change"].get_json()["display_name"] == "Ada"


@pytest.mark.fault("F55")
def test_altered_value_can_be_removed(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str]
) -> None:
    change_stored_name(session, user, "enc2:00000000:gAAAAA" + "A" * 80)

    client.patch("/api/v1/users/me", json={"display_name": None}, headers=headers)

    session.rollback()
    assert session.scalar(sa.text("SELECT display_name FROM users")) is None


def test_apps_with_different_keys_share_a_process(app: Flask, session: Session) -> None:
    user = make_user(session, display_name="Ann")
    with app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
    other_app = create_app(basic_environment(DATABASE_URL=url, MASTER_ENCRYPTION_KEY="another service's secret " * 2))

    with other_app.app_context():
        assert db.session.get_one(User, user.id).display_name is None
        db.session.remove()
        db.engine.dispose()
    session.refresh(user)

    assert user.display_name == "Ann"


def test_engine_without_keys_names_the_fix(session: Session) -> None:
    user = make_user(session, display_name="Ann")
    engine = sa.create_engine(session.get_bind().engine.url)

    with Session(engine) as bare, pytest.raises(RuntimeError, match="set_keyring"):
        bare.get(User, user.id)
    set_keyring(engine, Keyring([NEW]))
    with Session(engine) as keyed:
        assert keyed.get_one(User, user.id).display_name is None
    engine.dispose()


@pytest.mark.parametrize(
    "compare",
    [
        lambda: User.display_name == "Ann",
        lambda: User.display_name.like("A%"),
        lambda: User.display_name.in_(["Ann"]),
        User.display_name.desc,
    ],
)
def test_comparisons_are_rejected(compare: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"cannot be compared, sorted or searched in SQL: users\.display_name"):
        compare()


def test_null_comparisons_are_allowed(session: Session) -> None:
    named, nameless = make_user(session, display_name="Ann"), make_user(session)

    assert session.scalars(sa.select(User.id).where(User.display_name.is_(None))).all() == [nameless.id]
    assert session.scalars(sa.select(User.id).where(User.display_name.is_not(None))).all() == [named.id]
    assert session.scalars(sa.select(User.id).where(User.display_name == None)).all() == [nameless.id]  # noqa: E711 - SQLAlchemy's operator
