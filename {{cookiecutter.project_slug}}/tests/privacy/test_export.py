"""The export: all that there is about somebody, and of nobody else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from sqlalchemy.orm import Session

from app import personal_data
from app.accounts.models import User
from app.audit import service as audit
from app.audit.service import Origin
from app.database import db, now
from app.observability.logging import Redactor
from app.personal_data import Holding, holdings_of
from app.privacy import export
from app.security.access import SCOPES
from tests.accounts.factory import bearer
from tests.environments import ROOT
from tests.locations.factory import make_location
from tests.privacy.people import ALLOWED, NOT_PERSONAL, SECRET, make_person, personal_tables

EXPORT, UNVERSIONED = "/api/v1/users/me/data-export", "/api/user/data-export"
ADDRESSES = [EXPORT, "/api/v2/users/me/data-export", UNVERSIONED]
PASSPHRASE = "open sesame, please"


@pytest.fixture
def headers(app: Flask, user: User) -> dict[str, str]:
    return bearer(app, user)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from objects(item)


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def open_sealed(sealed: str, passphrase: str) -> Any:
    raw = passphrase.encode()
    algorithms = ["PBES2-HS512+A256KW", "A256GCM"]
    return json.loads(jwe.decrypt_compact(sealed, OctKey(raw, raw), algorithms=algorithms).plaintext or b"")


@pytest.mark.req("P3")
def test_some_feature_tells_of_every_table_that_holds_something_about_people(app: Flask) -> None:
    told = {name for holding in holdings_of(app).values() for name in holding.tables}

    missing = {table.name for table in personal_tables()} - told

    assert not missing, "register a Holding of app.personal_data for these tables"
    assert not told & NOT_PERSONAL.keys()


@pytest.mark.req("P3")
def test_the_export_holds_every_row_and_column_about_somebody_and_nothing_about_others(
    app: Flask, client: FlaskClient, session: Session
) -> None:
    person, other = make_person(session), make_person(session)

    text = client.get(EXPORT, headers=bearer(app, session.get_one(User, person.user_id))).text

    told = list(objects(json.loads(text)["data"]))
    for column, value in person.values():
        candidates = [item for item in told if item.get("id") == person.rows[column.table.name]["id"]]
        if str(column) in SECRET:
            assert value not in text, f"{column} is a secret"
        else:
            assert as_json(value) in [item.get(column.name) for item in candidates], (
                f"{column}: tell of it in its feature's holding, or name it in SECRET of tests/privacy/people.py"
            )
    for column, value in other.values():
        if str(column) not in {*ALLOWED, "audit_logs.id"}:  # which are no values of their own
            assert json.dumps(as_json(value)) not in text, f"{column} of somebody else"


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.req("P3")
def test_the_export_is_a_file_of_json_at_each_of_its_addresses(
    client: FlaskClient, user: User, headers: dict[str, str], address: str
) -> None:
    before = now()

    answer = client.get(address, headers=headers)

    body = answer.get_json()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Disposition"] == "attachment; filename=data-export.json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert body.keys() == {"exported_at", "format_version", "data"}
    assert before <= datetime.fromisoformat(body["exported_at"]) <= now()
    assert body["format_version"] == 1
    assert user.email in json.dumps(body["data"])


@pytest.mark.parametrize("address", ADDRESSES)
def test_nobody_exports_without_signing_in(client: FlaskClient, address: str) -> None:
    assert client.get(address).status_code == 401


@pytest.mark.parametrize("address", ADDRESSES)
def test_api_keys_cannot_export(client: FlaskClient, headers: dict[str, str], address: str) -> None:
    key = client.post("/api/v1/api-keys", json={"name": "all", "scopes": list(SCOPES)}, headers=headers).get_json()

    assert client.get(address, headers={"X-API-Key": key["key"]}).status_code == 403


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_limit_is_the_same_at_each_address(client: FlaskClient, headers: dict[str, str], address: str) -> None:
    answer = client.get(address, headers=headers)

    assert answer.headers["RateLimit-Limit"] == "200"


def test_the_export_of_an_account_that_is_gone_is_refused(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str]
) -> None:
    session.delete(user)
    session.commit()

    assert client.get(EXPORT, headers=headers).status_code == 401


def test_a_long_history_is_exported_whole_and_in_order(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.locations.service.PAGE", 2)
    monkeypatch.setattr("app.privacy.export.CHUNK", 10)
    time = now()
    made = [make_location(session, user, at=time).id for _ in range(7)]  # all of one time, across the pages' edges

    answer = client.get(EXPORT, headers=headers)

    assert [row["id"] for row in answer.get_json()["data"]["locations"]] == made[::-1]


def test_a_slow_reader_holds_no_connection_to_the_database(
    app: Flask,
    client: FlaskClient,
    session: Session,
    user: User,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.privacy.export.CHUNK", 10)
    make_location(session, user)
    session.rollback()

    answer = client.get(EXPORT, headers=headers, buffered=False)
    chunks = answer.iter_encoded()
    next(chunks)
    with app.app_context():
        held = db.engine.pool.checkedout()  # type: ignore[attr-defined] # of the pool that is in use
    rest = b"".join(chunks)

    assert held == 0
    assert rest.endswith(b"}}")


def test_a_failure_while_reading_is_an_error_and_not_half_an_export(
    app: Flask, client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[dict[str, Any]]:
        yield {"id": 1}
        raise ValueError

    monkeypatch.setattr(app, "extensions", {**app.extensions, "personal_data": dict(holdings_of(app))})
    personal_data.register(app, "broken", Holding((), fail))

    answer = client.get(EXPORT, headers=headers)

    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.req("P3")
def test_a_passphrase_encrypts_the_export_and_opens_it(
    client: FlaskClient, user: User, headers: dict[str, str], address: str
) -> None:
    answer = client.get(address, headers={**headers, "X-Export-Passphrase": PASSPHRASE})

    assert answer.headers["Content-Type"] == "application/jose"
    assert answer.headers["Content-Disposition"] == "attachment; filename=data-export.jwe"
    assert user.email not in answer.text
    assert user.email in json.dumps(open_sealed(answer.text, PASSPHRASE)["data"])


@pytest.mark.req("P3")
def test_the_wrong_passphrase_does_not_open_it_and_each_guess_is_dear(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    sealed = client.get(EXPORT, headers={**headers, "X-Export-Passphrase": PASSPHRASE}).text

    header = json.loads(urlsafe_b64decode(sealed.partition(".")[0] + "=="))
    assert (header["alg"], header["enc"], header["p2c"]) == ("PBES2-HS512+A256KW", "A256GCM", 300_000)
    with pytest.raises(JoseError):
        open_sealed(sealed, PASSPHRASE.upper())


@pytest.mark.parametrize("passphrase", ["x" * 11, "x" * 129, "", "not ASCII alone: ä", "a tab\tin the middle"])
def test_a_passphrase_that_would_not_do_is_refused_by_name(
    client: FlaskClient, headers: dict[str, str], passphrase: str
) -> None:
    answer = client.get(EXPORT, headers={**headers, "X-Export-Passphrase": passphrase})

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == ["X-Export-Passphrase"]


@pytest.mark.parametrize("passphrase", ["x" * 12, "x" * 128, "-----BEGIN x", "ssh-rsa AAAA", '"{}"\\;, =%s ~'])
def test_any_other_passphrase_will_do(client: FlaskClient, headers: dict[str, str], passphrase: str) -> None:
    answer = client.get(EXPORT, headers={**headers, "X-Export-Passphrase": passphrase})

    assert open_sealed(answer.text, passphrase)["format_version"] == 1


def test_what_is_too_large_to_be_encrypted_in_memory_is_refused(
    client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MOST_SEALED", 10)

    answer = client.get(EXPORT, headers={**headers, "X-Export-Passphrase": PASSPHRASE})

    assert answer.status_code == 422
    assert "ask without a passphrase" in answer.get_json()["errors"]["X-Export-Passphrase"][0]


def test_what_somebody_did_who_had_the_same_id_before_is_not_told(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    origin = Origin("192.0.2.1", "planted-request")
    audit.record(session, "test.earlier", actor_id=user.id, target=("user", user.id), origin=origin)
    audit.record(session, audit.ERASED, actor_id=user.id, target=("user", user.id), origin=origin)
    session.flush()
    audit.record(session, "test.later", actor_id=user.id, target=("user", user.id), origin=Origin(None, None))
    session.commit()

    told = client.get(EXPORT, headers=bearer(app, user)).get_json()["data"]["audit_logs"]

    assert [entry["action"] for entry in told] == ["test.later"]


@pytest.mark.req("P3", "R7")
def test_the_manual_says_how_to_open_an_encrypted_export(
    client: FlaskClient, user: User, headers: dict[str, str], tmp_path: Path
) -> None:
    manual = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", manual, re.DOTALL)
    assert block
    file = tmp_path / "data-export.jwe"
    file.write_bytes(client.get(EXPORT, headers={**headers, "X-Export-Passphrase": PASSPHRASE}).data)

    opened = subprocess.run(
        [sys.executable, "-c", block[1], str(file), PASSPHRASE], capture_output=True, text=True, check=True
    )

    assert user.email in json.dumps(json.loads(opened.stdout)["data"])


def test_a_passphrase_is_taken_out_of_the_log_and_of_reports() -> None:
    assert Redactor([])({"headers": {"X-Export-Passphrase": PASSPHRASE}}) == {"headers": {"X-Export-Passphrase": "***"}}
