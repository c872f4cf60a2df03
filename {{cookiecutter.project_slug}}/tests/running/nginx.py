"""Fixtures: the service behind the shipped nginx, and a second client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.running.conftest import StartWeb, Web
from tests.servers.nginx import start_nginx


@pytest.fixture
def service(start_web: StartWeb, tmp_path: Path) -> Web:
    """One process with two threads, behind a proxy."""
    settings = {"GUNICORN_WORKERS": "1", "GUNICORN_THREADS": "2", "TRUSTED_PROXIES": "1"}
    return start_web(STORAGE_URL=tmp_path.as_uri(), **settings)


@pytest.fixture
def proxy(service: Web) -> Iterator[Web]:
    """The service through nginx."""
    with start_nginx(int(service.url.rpartition(":")[2])) as server:
        yield Web(service.process, server.url)


@pytest.fixture
def other_client() -> Iterator[requests.Session]:
    """A client with another address."""

    class OtherAddress(HTTPAdapter):
        def init_poolmanager(self, *args: object, **options: object) -> None:
            super().init_poolmanager(*args, **options, source_address=("127.0.0.2", 0))  # type: ignore[arg-type] # passed on

    with requests.Session() as session:
        session.mount("http://", OtherAddress())
        yield session
