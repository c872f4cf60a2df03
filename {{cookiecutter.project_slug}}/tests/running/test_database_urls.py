"""Every kind of PostgreSQL URL works; TLS is verified where the settings say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from app import create_app
from app.platform.database.base import db
from app.platform.settings.checks import check_settings
from tests.environments import basic_environment
from tests.servers import PostgresServer, TlsRelay, create_certificates

pytestmark = [pytest.mark.running, pytest.mark.fault("F24"), pytest.mark.req("S14")]

PASSWORD = "p@s/s:w%#?& é+"
VALID = ("driver", "short scheme", "special characters", "IPv6", "socket", "TLS")
SSLMODE = "verify-full"


@pytest.fixture(scope="module")
def urls(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A URL of each kind for the one server."""
    certificates = create_certificates(tmp_path_factory.mktemp("certificates"), "127.0.0.1", "::1")
    other_host = create_certificates(tmp_path_factory.mktemp("other"), "192.0.2.1")
    plain = postgres.create_database("urls")
    postgres.create_role("o'ann", PASSWORD)
    account = f"o%27ann:{quote(PASSWORD, safe='')}@"
    trusted = f"&sslrootcert={quote(str(certificates.authority))}"
    with ExitStack() as relays:

        def relay(**options: object) -> int:
            return relays.enter_context(TlsRelay(postgres.port, **options)).port  # type: ignore[arg-type] # passed on

        tls = relay(certificate=certificates.server, postgresql=True)
        wrong = relay(certificate=other_host.server, postgresql=True)
        verify = f"/urls?sslmode={SSLMODE}"
        yield {
            "driver": plain.replace("postgresql://", "postgresql+psycopg2://"),
            "short scheme": plain.replace("postgresql://", "postgres://"),
            "special characters": f"postgresql://{account}127.0.0.1:{postgres.port}/urls",
            "IPv6": f"postgresql://{account}[::1]:{relay(host='::1')}/urls",
            "socket": f"postgresql://{account}/urls?host={quote(str(postgres.folder))}&port={postgres.port}",
            "TLS": f"postgresql://{account}127.0.0.1:{tls}{verify}{trusted}",
            "TLS of an unknown authority": f"postgresql://{account}127.0.0.1:{tls}{verify}"
            f"&sslrootcert={quote(str(other_host.authority))}",
            "TLS of another host": f"postgresql://{account}127.0.0.1:{wrong}{verify}"
            f"&sslrootcert={quote(str(other_host.authority))}",
        }
    postgres.drop_database("urls")


@pytest.fixture
def query() -> Callable[[str], object]:
    """Return a function that reads a value through an app with a URL."""

    def read(url: str) -> object:
        app = create_app(basic_environment(DATABASE_URL=url))
        with app.app_context():
            try:
                return db.session.scalar(sa.text("SELECT current_database()"))
            finally:
                db.session.remove()
                db.engine.dispose()

    return read


@pytest.mark.parametrize("kind", VALID)
def test_every_postgresql_url_works(query: Callable[[str], object], urls: Mapping[str, str], kind: str) -> None:
    assert check_settings(basic_environment(DATABASE_URL=urls[kind]), ()).problems == []
    assert query(urls[kind]) == "urls"


@pytest.mark.parametrize("kind", ["TLS of an unknown authority", "TLS of another host"])
def test_unverified_postgresql_is_refused(query: Callable[[str], object], urls: Mapping[str, str], kind: str) -> None:
    with pytest.raises(sa.exc.OperationalError, match=r"certificate|SSL error"):
        query(urls[kind])
