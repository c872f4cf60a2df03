"""A storage belongs to the database that claimed it first, until an operator says otherwise."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.platform.database.base import db
from app.platform.database.identity import DatabaseIdentity, database_id
from app.platform.operations.storage_owner import ForeignStorage, adopt, claim, claim_once, require_ownership
from app.platform.settings.declarations import Settings
from app.platform.storage import Storage, StorageUnavailable
from app.platform.web.problems import Problem

pytestmark = [pytest.mark.req("D7"), pytest.mark.fault("F53")]


@pytest.fixture
def foreign(storage: Storage) -> Storage:
    """The app's storage, which belongs to another database."""
    storage.put("database-id", b"0" * 32)
    return storage


def fail(*_: object) -> None:
    raise StorageUnavailable


def init_db(app: Flask) -> str:
    result = app.test_cli_runner().invoke(args=["init-db"])
    assert result.exit_code == 0, result.output
    return result.output


def test_id_of_the_database_is_created_once(session: Session) -> None:
    first, second = database_id(session), database_id(session)

    assert first == second
    assert len(first) == 32
    assert session.scalars(sa.select(DatabaseIdentity.value)).all() == [first]


def test_storage_without_owner_is_claimed_once(session: Session, storage: Storage) -> None:
    with pytest.raises(ForeignStorage, match="belongs to no database yet"):
        require_ownership(session, storage)

    claim(session, storage)

    require_ownership(session, storage)
    assert storage.open("database-id").read().decode() == database_id(session)


def test_foreign_storage_is_not_claimed(session: Session, foreign: Storage) -> None:
    claim(session, foreign)

    with pytest.raises(ForeignStorage, match=r"belongs to another database\..*run: flask storage adopt"):
        require_ownership(session, foreign)


def test_upload_claims_the_storage_once_per_process(
    app: Flask, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        claim_once(db.session())
        monkeypatch.setattr(storage, "open", fail)
        claim_once(db.session())
        monkeypatch.undo()

        require_ownership(db.session(), storage)


def test_init_db_claims_the_storage(app: Flask, session: Session, storage: Storage) -> None:
    output = init_db(app)

    assert "storage: belongs to this database" in output
    require_ownership(session, storage)


def test_init_db_warns_about_a_foreign_storage(app: Flask, foreign: Storage) -> None:
    assert "storage: warning: The storage belongs to another database." in init_db(app)


def test_init_db_works_without_storage(app: Flask, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "open", fail)

    assert "storage: unavailable; the next upload claims it for this database" in init_db(app)


def test_operator_adopts_a_foreign_storage(app: Flask, session: Session, foreign: Storage) -> None:
    result = app.test_cli_runner().invoke(args=["storage", "adopt"])

    assert (result.exit_code, result.output) == (0, "the storage belongs to this database\n")
    require_ownership(session, foreign)


def test_adopting_an_unavailable_storage_fails(app: Flask, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "put", fail)

    result = app.test_cli_runner().invoke(args=["storage", "adopt"])

    assert (result.exit_code, result.output) == (1, "Error: The storage is unavailable. Try again later.\n")


def test_adopted_storage_belongs_to_one_database(session: Session, foreign: Storage) -> None:
    adopt(session, foreign)
    session.execute(sa.update(DatabaseIdentity).values(value="1" * 32))
    session.commit()

    with pytest.raises(ForeignStorage):
        require_ownership(session, foreign)


def test_uploads_do_not_go_to_a_foreign_storage_in_production(
    app: Flask, foreign: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Settings, "in_production", True)

    with app.app_context(), pytest.raises(Problem) as rejected:
        claim_once(db.session())

    assert rejected.value.code == 503
    assert "belongs to another database" in caplog.text


def test_storage_follows_the_database_elsewhere(app: Flask, session: Session, foreign: Storage) -> None:
    with app.app_context():
        claim_once(db.session())

    require_ownership(session, foreign)
