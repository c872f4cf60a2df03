"""Uploads through the shipped nginx configuration: larger bodies than other routes, few at a time."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import requests

from tests.data_files.factory import CSV, FILES
from tests.running.accounts import log_in
from tests.running.conftest import Web
from tests.running.nginx import other_client, proxy, service
from tests.running.raw_requests import begin_request
from tests.servers import wait_until

__all__ = ["other_client", "proxy", "service"]

pytestmark = [pytest.mark.running, pytest.mark.req("S13", "R3"), pytest.mark.fault("F6")]


def upload(client: requests.Session, proxy: Web, headers: dict[str, str], content: bytes = CSV) -> requests.Response:
    return client.post(proxy.url + FILES, files={"file": ("a.csv", content)}, headers=headers, timeout=120)


def test_uploads_may_be_large(proxy: Web, other_client: requests.Session) -> None:
    response = upload(other_client, proxy, log_in(proxy), b"a,b\n" * 500_000)

    assert response.status_code == 201


def test_uploads_at_a_time_are_bounded_per_client(proxy: Web, other_client: requests.Session) -> None:
    headers = log_in(proxy)
    fields = [*(f"{name}: {value}" for name, value in headers.items()), "Content-Length: 40000000"]

    with requests.Session() as same_client, ExitStack() as held:
        for _ in range(2):
            held.enter_context(begin_request(proxy, FILES, *fields, body=b"x"))
        assert wait_until(lambda: upload(same_client, proxy, headers).status_code == 429, 120)
        # A busy machine may delay an upload for so long that the service refuses it; a limit would refuse each one.
        assert wait_until(lambda: upload(other_client, proxy, headers).status_code == 201, 60)
