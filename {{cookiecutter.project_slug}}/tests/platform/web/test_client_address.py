"""Client addresses: one form per client, in every notation of a proxy or a socket."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.platform.web.client_address import ClientAddress, networks, parse_address

CANONICAL = {
    "203.0.113.8": "203.0.113.8",
    "203.0.113.8:50001": "203.0.113.8",
    " 203.0.113.8 ": "203.0.113.8",
    '"203.0.113.8:50001"': "203.0.113.8",
    "2001:DB8:0::1": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "[2001:db8::1]:443": "2001:db8::1",
    '"[2001:db8::1]:443"': "2001:db8::1",
    "fe80::1%eth0": "fe80::1",
    "::ffff:203.0.113.8": "203.0.113.8",
    "::ffff:cb00:7108": "203.0.113.8",
    "[::ffff:203.0.113.8]:50001": "203.0.113.8",
    "64:ff9b::cb00:7108": "203.0.113.8",
}
NO_ADDRESSES = (
    "",
    "unknown",
    "_hidden",
    "203.0.113.8.1",
    "203.0.113.08",
    "0x7f.1",
    "a:1",
    "[",
    "1" * 65,
    "\u0661.1.1.1",
)


@pytest.mark.parametrize(("text", "address"), CANONICAL.items())
@pytest.mark.fault("F7", "F8")
@pytest.mark.req("A8")
def test_address_has_one_form(text: str, address: str) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", NO_ADDRESSES)
@pytest.mark.fault("F8")
@pytest.mark.req("A8")
def test_other_text_is_no_address(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_address_counts_for_its_networks() -> None:
    assert networks("203.0.113.8") == (("203.0.113.8", 1), ("203.0.113.0/24", 16))
    assert networks("2001:db8:1:2::3") == (("2001:db8:1:2::/64", 1), ("2001:db8:1::/56", 4), ("2001:db8:1::/48", 16))
    assert networks("") == (("", 1),)  # a Unix socket


def remote_addresses(proxies: int, *requests: dict[str, Any]) -> list[str]:
    """Return the REMOTE_ADDR that the app sees for each of these environments."""
    seen: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ["REMOTE_ADDR"])
        start_response("200 OK", [])
        return []

    middleware = ClientAddress(app, proxies)
    for environ in requests:
        run_wsgi_app(middleware, {**EnvironBuilder().get_environ(), **environ})
    return seen


def forwarded(value: str) -> dict[str, str]:
    return {"REMOTE_ADDR": "10.0.0.2", "HTTP_X_FORWARDED_FOR": value}


FORWARDED = [
    (0, "203.0.113.8", "10.0.0.2"),
    (1, "203.0.113.8", "203.0.113.8"),
    (1, "192.0.2.1, 203.0.113.8:50001", "203.0.113.8"),
    (2, "192.0.2.1, 203.0.113.8, 10.0.0.9", "203.0.113.8"),
    (2, "203.0.113.8", "10.0.0.2"),
    (1, "unknown", "10.0.0.2"),
    (1, "192.0.2.1,", "10.0.0.2"),
    (1, '"192.0.2.1, 203.0.113.8', "203.0.113.8"),
    (1, '"192.0.2.1\\", 203.0.113.8', "203.0.113.8"),
]


@pytest.mark.parametrize(("proxies", "value", "address"), FORWARDED)
@pytest.mark.fault("F8")
@pytest.mark.req("A8", "S10")
def test_client_address_is_the_entry_of_the_trusted_proxy(proxies: int, value: str, address: str) -> None:
    assert remote_addresses(proxies, forwarded(value)) == [address]


@pytest.mark.fault("F7")
def test_address_of_the_socket_is_unmapped() -> None:
    environs = [{"REMOTE_ADDR": address} for address in ("::ffff:127.0.0.2", "", "@")]

    assert remote_addresses(0, *environs) == ["127.0.0.2", "", ""]


@pytest.mark.parametrize(
    ("proxies", "environ"),
    [
        (0, forwarded("203.0.113.8")),
        (0, {"HTTP_X_REAL_IP": "203.0.113.8"}),
        (0, {"HTTP_FORWARDED": "for=203.0.113.8"}),
        (2, forwarded("203.0.113.8")),
    ],
)
@pytest.mark.fault("F7")
@pytest.mark.req("S10")
def test_header_of_an_untrusted_proxy_is_logged_once(
    caplog: pytest.LogCaptureFixture, proxies: int, environ: dict[str, str]
) -> None:
    with caplog.at_level(logging.WARNING):
        remote_addresses(proxies, environ, environ)

    assert len(caplog.records) == 1
    assert f"TRUSTED_PROXIES is {proxies}" in caplog.text
    assert "203.0.113.8" not in caplog.text


def test_expected_headers_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        remote_addresses(1, forwarded("203.0.113.8"), {})  # a probe that does not pass the proxy
        remote_addresses(0, {})

    assert caplog.records == []
