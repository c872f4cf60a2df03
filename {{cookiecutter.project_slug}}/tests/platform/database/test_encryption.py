"""Encryption of columns: keys, places and decryption errors."""

from __future__ import annotations

import base64

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from app.platform.database.base import Model
from app.platform.database.encryption import (
    PURPOSE,
    BoundText,
    DecryptionError,
    EncryptedText,
    Keyring,
    derive_key,
    encrypted_columns,
    place_of,
)

OLD, NEW = "an earlier secret " * 3, "a newer secret " * 3
PLACE = "users.display_name:7"
NAME = "Ångström 🦆 'quoted' -- \\ %s"


def test_ciphertexts_differ_and_decrypt_to_the_same_text() -> None:
    keyring = Keyring([NEW])

    first, second = keyring.encrypt(NAME, PLACE), keyring.encrypt(NAME, PLACE)

    assert first != second
    assert keyring.decrypt(first) == keyring.decrypt(second) == BoundText(PLACE, NAME)


@pytest.mark.req("P1")
def test_earlier_keys_decrypt_and_the_current_key_encrypts() -> None:
    old = Keyring([OLD])
    both = Keyring([NEW, OLD])

    assert both.decrypt(old.encrypt(NAME, PLACE)) == BoundText(PLACE, NAME)
    assert both.encrypt(NAME, PLACE).startswith(f"enc2:{both.current}:")
    assert both.current != old.current
    assert both.ids == (both.current, old.current)


@pytest.mark.req("P1")
def test_error_names_the_missing_key_and_the_setting() -> None:
    old = Keyring([OLD])

    with pytest.raises(DecryptionError, match=rf"needs the encryption key {old.current}, .* LEGACY_ENCRYPTION_KEYS"):
        Keyring([NEW]).decrypt(old.encrypt(NAME, PLACE))


@pytest.mark.parametrize("position", [20, 60, -2])
def test_altered_ciphertext_is_rejected(position: int) -> None:
    keyring = Keyring([NEW])
    stored = list(keyring.encrypt(NAME, PLACE))
    stored[position] = "A" if stored[position] != "A" else "B"

    with pytest.raises(DecryptionError, match="corrupt or was tampered with"):
        keyring.decrypt("".join(stored))


UNBOUND_TEXTS = ["", "Ann", "enc:", "enc:12345678:", "enc2:12345678:Ann", "encryption"]


@pytest.mark.fault("F64")
@pytest.mark.parametrize("text", UNBOUND_TEXTS)
def test_plain_text_is_rejected(text: str) -> None:
    with pytest.raises(DecryptionError, match=r"not bound to its row: .* ENCRYPTION_ACCEPT_UNBOUND=true"):
        Keyring([NEW]).decrypt(text)


@pytest.mark.parametrize("text", UNBOUND_TEXTS)
def test_plain_text_is_read_on_request(text: str) -> None:
    assert Keyring([NEW], accepts_unbound=True).decrypt(text).text_at(PLACE) == text


def test_ciphertext_without_a_place_is_read_on_request() -> None:
    keyring = Keyring([NEW], accepts_unbound=True)
    kid, key = derive_key(NEW, PURPOSE)
    stored = f"enc:{kid}:{Fernet(base64.urlsafe_b64encode(key)).encrypt(NAME.encode()).decode()}"

    assert keyring.decrypt(stored).text_at(PLACE) == NAME
    with pytest.raises(DecryptionError, match="not bound"):
        Keyring([NEW]).decrypt(stored)


@pytest.mark.fault("F64")
def test_text_of_another_place_is_rejected() -> None:
    keyring = Keyring([NEW], accepts_unbound=True)
    copied = keyring.decrypt(keyring.encrypt(NAME, PLACE))

    with pytest.raises(
        DecryptionError, match=r"The value of users\.display_name:8 was copied from users\.display_name:7"
    ):
        copied.text_at("users.display_name:8")


@pytest.mark.fault("F64")
def test_text_of_another_user_is_rejected() -> None:
    keyring = Keyring([NEW])
    value = keyring.decrypt(keyring.encrypt(NAME, place_of("notes", "text", 7, 3)))

    assert value.text_at("notes.text:7@3") == NAME
    for place in ("notes.text:7@4", "notes.text:7@33", "notes.text:7"):
        with pytest.raises(DecryptionError, match=r"was copied from notes\.text:7@3"):
            value.text_at(place)


def test_text_from_before_places_had_users_is_accepted() -> None:
    keyring = Keyring([NEW])
    value = keyring.decrypt(keyring.encrypt(NAME, place_of("notes", "text", 7)))

    assert value.text_at("notes.text:7@3") == NAME


@pytest.mark.parametrize("text", [Keyring([OLD]).encrypt("x", PLACE), "a\0b", "\0"])
def test_text_that_looks_like_the_format_is_encrypted_too(text: str) -> None:
    keyring = Keyring([NEW])

    assert keyring.decrypt(keyring.encrypt(text, PLACE)).text_at(PLACE) == text


def test_key_id_is_not_part_of_the_key() -> None:
    keyring = Keyring([NEW])

    assert len(keyring.current) == 8
    assert keyring.current not in keyring._keys[keyring.current]._signing_key.hex()


def test_encrypted_columns_lists_columns_of_models() -> None:
    assert "users.display_name" in [str(column) for column in encrypted_columns(Model.metadata)]
    metadata = sa.MetaData()
    sa.Table("notes", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", EncryptedText))
    assert [str(column) for column in encrypted_columns(metadata)] == ["notes.text"]
