"""Encrypted columns: what the database holds, what comes back, and what happens when it cannot."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.database import Model, db
from app.security.encryption import EncryptedText, Keyring, Unreadable, attach, encrypted_columns
from tests.accounts.factory import make_user
from tests.environments import basic_environment

OLD, NEW = "an earlier secret " * 3, "a newer secret " * 3
NAME = "Ångström 🦆 'quoted' -- \\ %s"


def stored_name(session: Session, user: User) -> str:
    query = sa.text("SELECT display_name FROM users WHERE id = :id")
    found: str = session.execute(query, {"id": user.id}).scalar_one()
    return found


def change_stored_name(session: Session, user: User, value: str) -> None:
    session.execute(sa.text("UPDATE users SET display_name = :value WHERE id = :id"), {"value": value, "id": user.id})
    session.commit()


def test_a_text_comes_back_and_is_different_each_time_it_is_stored() -> None:
    keyring = Keyring([NEW])

    first, second = keyring.encrypt(NAME), keyring.encrypt(NAME)

    assert first != second
    assert keyring.decrypt(first) == keyring.decrypt(second) == NAME


@pytest.mark.req("P1")
def test_what_is_under_an_earlier_key_is_read_and_new_values_are_under_the_newer_one() -> None:
    old = Keyring([OLD])
    both = Keyring([NEW, OLD])

    assert both.decrypt(old.encrypt(NAME)) == NAME
    assert both.encrypt(NAME).startswith(f"enc:{both.current}:")
    assert both.current != old.current
    assert both.ids == (both.current, old.current)


@pytest.mark.req("P1")
def test_a_key_that_is_not_there_is_named_and_where_to_put_it() -> None:
    old = Keyring([OLD])

    with pytest.raises(Unreadable, match=rf"under the encryption key {old.current}, .* LEGACY_ENCRYPTION_KEYS"):
        Keyring([NEW]).decrypt(old.encrypt(NAME))


@pytest.mark.parametrize("place", [20, 60, -2])
def test_what_was_tampered_with_is_not_read(place: int) -> None:
    keyring = Keyring([NEW])
    stored = list(keyring.encrypt(NAME))
    stored[place] = "A" if stored[place] != "A" else "B"

    with pytest.raises(Unreadable, match="damaged or was tampered with"):
        keyring.decrypt("".join(stored))


@pytest.mark.parametrize("text", ["", "Ann", "enc:", "enc:12345678:", "enc:12345678:Ann", "encryption"])
def test_a_value_from_before_is_read_as_it_stands(text: str) -> None:
    assert Keyring([NEW]).decrypt(text) == text


def test_a_text_that_looks_encrypted_comes_back_as_it_is() -> None:
    keyring = Keyring([NEW])
    text = Keyring([OLD]).encrypt("x")

    assert keyring.decrypt(keyring.encrypt(text)) == text


def test_the_id_of_a_key_tells_nothing_of_the_key() -> None:
    keyring = Keyring([NEW])

    assert len(keyring.current) == 8
    assert keyring.current not in keyring._keys[keyring.current]._signing_key.hex()


@pytest.mark.req("P1")
def test_the_database_never_sees_the_text(session: Session, secret: str) -> None:
    user = make_user(session, display_name=secret)

    stored = stored_name(session, user)

    assert stored.startswith("enc:")
    assert secret not in stored
    session.expire_all()
    assert user.display_name == secret


@pytest.mark.parametrize("name", [None, "", NAME, "x" * 100, "🦆" * 100])
def test_names_come_back_through_the_database(session: Session, name: str | None) -> None:
    user = make_user(session)
    user.display_name = name
    session.commit()

    session.expire_all()

    assert user.display_name == name


@pytest.mark.req("P1")
def test_a_row_from_before_the_column_was_encrypted_is_read(session: Session, user: User) -> None:
    change_stored_name(session, user, "Ann")

    session.refresh(user)

    assert user.display_name == "Ann"


def test_a_name_that_was_tampered_with_in_the_database_is_an_error_and_not_a_name(session: Session) -> None:
    user = make_user(session, display_name="Ann")
    change_stored_name(session, user, stored_name(session, user)[:-3] + "AA=")

    with pytest.raises(Unreadable):
        session.refresh(user)


def test_apps_with_different_keys_live_in_one_process(app: Flask, session: Session) -> None:
    user = make_user(session, display_name="Ann")
    with app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
    stranger = create_app(basic_environment(DATABASE_URL=url, MASTER_ENCRYPTION_KEY="another service's secret " * 2))

    with stranger.app_context():
        with pytest.raises(Unreadable):
            db.session.get(User, user.id)
        db.session.remove()
        db.engine.dispose()
    session.refresh(user)

    assert user.display_name == "Ann"


def test_an_engine_without_keys_says_what_it_lacks(session: Session) -> None:
    user = make_user(session, display_name="Ann")
    engine = sa.create_engine(session.get_bind().engine.url)

    with Session(engine) as bare, pytest.raises(RuntimeError, match="attach"):
        bare.get(User, user.id)
    attach(engine, Keyring([NEW]))
    with Session(engine) as keyed, pytest.raises(Unreadable):
        keyed.get(User, user.id)
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
def test_a_comparison_that_would_never_be_true_is_refused(compare: object) -> None:
    with pytest.raises(TypeError, match=r"cannot be compared, sorted or searched in SQL: users\.display_name"):
        compare()  # type: ignore[operator] # each is a function


def test_whether_there_is_a_value_can_be_asked(session: Session) -> None:
    named, nameless = make_user(session, display_name="Ann"), make_user(session)

    assert session.scalars(sa.select(User.id).where(User.display_name.is_(None))).all() == [nameless.id]
    assert session.scalars(sa.select(User.id).where(User.display_name.is_not(None))).all() == [named.id]
    assert session.scalars(sa.select(User.id).where(User.display_name == None)).all() == [nameless.id]  # noqa: E711 - SQL's


def test_encrypted_columns_are_found_in_the_models() -> None:
    assert "users.display_name" in [str(column) for column in encrypted_columns(Model.metadata)]
    metadata = sa.MetaData()
    sa.Table("notes", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", EncryptedText))
    assert [str(column) for column in encrypted_columns(metadata)] == ["notes.text"]
