"""Parameters of DATABASE_URL reach the server together with the settings of the service."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app import create_app
from app.features import FEATURE_SETTINGS
from app.platform.database.base import db
from app.platform.database.engine import connect_arguments
from app.platform.settings.checks import load_settings
from app.platform.settings.database_url import OPTIONS_SET_BY_SERVICE, SET_BY_SERVICE
from tests.conftest import migrate
from tests.environments import basic_environment
from tests.platform.settings.test_checks import PRODUCTION

pytestmark = pytest.mark.fault("F25")


@pytest.mark.req("S14", "D1")
def test_search_path_of_the_url_selects_the_schema(empty_database: str) -> None:
    with sa.create_engine(empty_database, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA tenant"))
    environment = basic_environment(DATABASE_URL=f"{empty_database}?options=-csearch_path%3Dtenant")

    migrate(environment)
    app = create_app(environment)
    with app.app_context(), db.engine.connect() as connection:
        schemas = connection.execute(sa.text("SELECT schemaname FROM pg_tables WHERE tablename = 'users'")).scalars()
        timeout = connection.execute(sa.text("SHOW statement_timeout")).scalar_one()

        assert list(schemas) == ["tenant"]
        assert timeout == "10s"
    with app.app_context():
        db.engine.dispose()


def arguments(url: str, **settings: str) -> Mapping[str, object]:
    loaded = load_settings({**PRODUCTION, "DATABASE_URL": url, **settings}, FEATURE_SETTINGS).settings
    return connect_arguments(make_url(loaded.database_url), loaded)


def test_parameters_that_the_service_sets_are_rejected_in_urls() -> None:
    own = {"options", "sslmode", "prepare_threshold"}

    assert arguments(PRODUCTION["DATABASE_URL"]).keys() - own == SET_BY_SERVICE["postgresql"].keys()
    assert arguments("mysql://app@db/app").keys() == SET_BY_SERVICE["mysql"].keys()


def test_options_of_the_url_come_before_those_of_the_service() -> None:
    options = str(arguments(f"{PRODUCTION['DATABASE_URL']}?options=-csearch_path%3Da&options=-cjit%3Doff")["options"])

    assert options.startswith("-csearch_path=a -cjit=off -c statement_timeout=10000 ")
    assert all(f"-c {name}=" in options for name in OPTIONS_SET_BY_SERVICE)


@pytest.mark.fault("F17")
def test_pooled_connections_have_no_session_settings() -> None:
    pooling = {"DB_TRANSACTION_POOLING": "true", "MIGRATION_DATABASE_URL": "postgresql://app@other.example.org/app"}

    pooled = arguments(PRODUCTION["DATABASE_URL"], **pooling)

    assert "options" not in pooled
    assert pooled["prepare_threshold"] is None
