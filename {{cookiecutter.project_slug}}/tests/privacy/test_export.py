"""Tests of the data export: it contains all data of the user, and no data of other users."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from app.accounts.models import User
from app.audit import service as audit
from app.platform.api.concurrency import ConcurrencyLimits
from app.platform.database.base import db, utc_now
from app.platform.personal_data import PersonalDataSource, personal_data_of
from app.platform.telemetry.redaction import Redactor
from app.platform.web.client_address import RequestOrigin
from app.platform.web.route_policy import policy_of
from app.privacy import export
from tests.accounts.factory import bearer
from tests.conftest import ReplaceComponent
from tests.environments import ROOT
from tests.privacy.person_factory import (
    NOT_PERSONAL,
    create_person_with_data,
    empty_columns,
    personal_tables,
    secret_columns,
)

EXPORT, UNVERSIONED = "/api/v1/users/me/data-export", "/api/user/data-export"
METHODS = ("GET", "HEAD", "GET", "HEAD", "GET")
PATHS = [EXPORT, "/api/v2/users/me/data-export", UNVERSIONED]
PASSPHRASE = "open sesame, please"


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a JSON document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from objects(item)


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def decrypt(token: str, passphrase: str) -> Any:
    raw = passphrase.encode()
    algorithms = ["PBES2-HS512+A256KW", "A256GCM"]
    return json.loads(jwe.decrypt_compact(token, OctKey(raw, raw), algorithms=algorithms).plaintext or b"")


@pytest.mark.req("P3")
def test_every_personal_table_has_a_source(app: Flask) -> None:
    registered = {name for source in personal_data_of(app).values() for name in source.tables}

    missing = {table.name for table in personal_tables()} - registered

    assert not missing, "add these tables to the PersonalDataSource of their feature (app/<feature>/__init__.py)"
    assert not registered & NOT_PERSONAL.keys()


@pytest.mark.req("P3")
def test_samples_fill_every_personal_column(app: Flask, session: Session) -> None:
    person = create_person_with_data(app, session)

    assert not empty_columns(person), "set these columns in PERSONAL_DATA of tests/<feature>/samples.py"


@pytest.mark.req("P3")
def test_export_contains_every_value_of_one_user(app: Flask, client: FlaskClient, session: Session) -> None:
    person, other = create_person_with_data(app, session), create_person_with_data(app, session)

    text = client.get(EXPORT, headers=bearer(app, session.get_one(User, person.user_id))).text

    exported, secret = list(objects(json.loads(text)["data"])), secret_columns()
    for column, row_id, value in person.values():
        values = [item.get(column.name) for item in exported if item.get("id") == row_id]
        if str(column) in secret:
            assert value not in text, f"{column} is secret: exclude it from the export of its feature"
        else:
            assert as_json(value) in values, (
                f"{column}: export it in its feature, or add it to SECRET_COLUMNS of tests/<feature>/samples.py"
            )
    own = {str(column): value for column, _, value in person.values()}
    for column, _, value in other.values():
        if not column.primary_key and not column.foreign_keys and value != own[str(column)]:
            assert json.dumps(as_json(value)) not in text, f"{column} of another user"
    assert str(other.user_id) not in text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.req("P3")
def test_export_is_a_json_file(client: FlaskClient, user: User, headers: dict[str, str], path: str) -> None:
    before = utc_now()

    response = client.get(path, headers=headers)

    body = response.get_json()
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Content-Disposition"] == "attachment; filename=data-export.json"
    assert response.headers["Cache-Control"] == "no-store"
    assert body.keys() == {"exported_at", "format_version", "data"}
    assert before <= datetime.fromisoformat(body["exported_at"]) <= utc_now()
    assert body["format_version"] == 1
    assert user.email in json.dumps(body["data"])


@pytest.mark.parametrize("path", PATHS)
def test_export_requires_a_login(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("endpoint", ["v1_privacy.data_export", "v2_privacy.data_export", "data_export"])
def test_export_has_no_scope_for_api_keys(app: Flask, endpoint: str) -> None:
    assert policy_of(app.view_functions[endpoint]).scope == ""


@pytest.mark.parametrize("path", PATHS)
def test_export_has_the_same_rate_limit_on_every_path(client: FlaskClient, headers: dict[str, str], path: str) -> None:
    response = client.get(path, headers=headers)

    assert response.headers["RateLimit-Limit"] == "200"


def test_export_rejects_a_deleted_account(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str]
) -> None:
    session.delete(user)
    session.commit()

    assert client.get(EXPORT, headers=headers).status_code == 401


def test_slow_client_holds_no_database_connection(
    app: Flask, client: FlaskClient, session: Session, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def query_for_each_item(app_session: Session, user_id: int) -> Iterator[dict[str, int]]:
        for _ in range(3):
            yield {"id": app_session.get_one(User, user_id, populate_existing=True).id}

    monkeypatch.setattr(export, "CHUNK", 10)
    monkeypatch.setitem(personal_data_of(app), "of_the_test", PersonalDataSource((), query_for_each_item))
    session.rollback()  # the test's own session shares the pool

    response = client.get(EXPORT, headers=headers, buffered=False)
    chunks = response.iter_encoded()
    next(chunks)
    with app.app_context():
        pool = db.engine.pool
    assert isinstance(pool, QueuePool)
    connections_in_use = pool.checkedout()
    rest = b"".join(chunks)

    assert connections_in_use == 0
    assert rest.endswith(b"}}")


@pytest.mark.req("S13")
def test_streamed_export_keeps_its_slot_until_it_is_sent(
    client: FlaskClient, headers: dict[str, str], replace_component: ReplaceComponent
) -> None:
    replace_component(ConcurrencyLimits({"CONCURRENCY_EXPORTS": BoundedSemaphore(1)}))

    unread = client.get(EXPORT, headers=headers, buffered=False)
    refused = client.get(EXPORT, headers=headers, buffered=True)
    unread.close()
    statuses = [client.open(EXPORT, method=method, headers=headers, buffered=True).status_code for method in METHODS]

    assert (unread.status_code, refused.status_code) == (200, 503)
    assert statuses == [200] * len(METHODS)


def test_failure_before_the_first_chunk_is_an_error_response(
    app: Flask, client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[dict[str, Any]]:
        yield {"id": 1}
        raise ValueError

    monkeypatch.setitem(personal_data_of(app), "broken", PersonalDataSource((), fail))

    response = client.get(EXPORT, headers=headers)

    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.req("P3")
def test_passphrase_encrypts_the_export(client: FlaskClient, user: User, headers: dict[str, str], path: str) -> None:
    response = client.get(path, headers={**headers, "X-Export-Passphrase": PASSPHRASE})

    assert response.headers["Content-Type"] == "application/jose"
    assert response.headers["Content-Disposition"] == "attachment; filename=data-export.jwe"
    assert user.email not in response.text
    assert user.email in json.dumps(decrypt(response.text, PASSPHRASE)["data"])


@pytest.mark.req("P3")
def test_wrong_passphrase_cannot_decrypt_and_guesses_are_slow(client: FlaskClient, headers: dict[str, str]) -> None:
    token = client.get(EXPORT, headers={**headers, "X-Export-Passphrase": PASSPHRASE}).text

    header = json.loads(urlsafe_b64decode(token.partition(".")[0] + "=="))
    assert (header["alg"], header["enc"], header["p2c"]) == ("PBES2-HS512+A256KW", "A256GCM", 300_000)
    with pytest.raises(JoseError):
        decrypt(token, PASSPHRASE.upper())


@pytest.mark.parametrize("passphrase", ["x" * 11, "x" * 129, "", "not ASCII alone: ä", "a tab\tin the middle"])
def test_export_rejects_invalid_passphrases(client: FlaskClient, headers: dict[str, str], passphrase: str) -> None:
    response = client.get(EXPORT, headers={**headers, "X-Export-Passphrase": passphrase})

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == ["X-Export-Passphrase"]


@pytest.mark.parametrize("passphrase", ["x" * 12, "x" * 128, "-----BEGIN x", "ssh-rsa AAAA", '"{}"\\;, =%s ~'])
def test_export_accepts_every_valid_passphrase(client: FlaskClient, headers: dict[str, str], passphrase: str) -> None:
    response = client.get(EXPORT, headers={**headers, "X-Export-Passphrase": passphrase})

    assert decrypt(response.text, passphrase)["format_version"] == 1


def test_export_rejects_encryption_above_the_size_limit(
    client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_ENCRYPTED_BYTES", 10)

    response = client.get(EXPORT, headers={**headers, "X-Export-Passphrase": PASSPHRASE})

    assert response.status_code == 422
    assert response.get_json()["errors"]["X-Export-Passphrase"] == [
        "At most 10 bytes can be encrypted: send the request without a passphrase."
    ]


def test_export_omits_audit_entries_of_earlier_user_with_same_id(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    origin = RequestOrigin("192.0.2.1", "request-of-the-test")
    audit.record(session, "test.earlier", actor_id=user.id, target=("user", user.id), origin=origin)
    audit.record(session, audit.ERASED, actor_id=user.id, target=("user", user.id), origin=origin)
    session.flush()
    audit.record(session, "test.later", actor_id=user.id, target=("user", user.id), origin=RequestOrigin(None, None))
    session.commit()

    exported = client.get(EXPORT, headers=bearer(app, user)).get_json()["data"]["audit_logs"]

    assert [entry["action"] for entry in exported] == ["user.data_exported", "test.later"]


@pytest.mark.req("P3", "R7")
def test_documentation_shows_how_to_decrypt_an_export(
    client: FlaskClient, user: User, headers: dict[str, str], tmp_path: Path
) -> None:
    documentation = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", documentation, re.DOTALL)
    assert code
    file = tmp_path / "data-export.jwe"
    file.write_bytes(client.get(EXPORT, headers={**headers, "X-Export-Passphrase": PASSPHRASE}).data)

    decrypted = subprocess.run(
        [sys.executable, "-c", code[1], str(file), PASSPHRASE], capture_output=True, text=True, check=True
    )

    assert user.email in json.dumps(json.loads(decrypted.stdout)["data"])


def test_logs_and_reports_redact_the_passphrase() -> None:
    redact = Redactor([])

    assert redact({"headers": {"X-Export-Passphrase": PASSPHRASE}}) == {"headers": {"X-Export-Passphrase": "***"}}
