"""What is done in another way than Flask does it comes to the same: answers as JSON, and what an address means."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Request, redirect, request, url_for
from werkzeug.test import EnvironBuilder, TestResponse

from app.framework import Service


def answer(content: dict[str, object]) -> TestResponse:
    service = Service("planted")
    service.add_url_rule("/", view_func=lambda: content)
    return service.test_client().get("/")


@pytest.mark.parametrize("odd", ["\ud800", 2**70], ids=["half a pair", "70 bits"])
def test_what_the_quick_encoder_refuses_is_answered_all_the_same(odd: object) -> None:
    answered = answer({"odd": odd})

    assert answered.mimetype == "application/json"
    assert answered.json == {"odd": odd}


def test_an_answer_is_short_ends_in_a_line_and_keeps_its_order() -> None:
    answered = answer({"b": 1.5, "a": "größer", "c": [None, True]})

    assert answered.data == '{"b":1.5,"a":"größer","c":[null,true]}\n'.encode()


REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"path": "/things/7"},
    "query": {"path": "/things/7", "query_string": "name=größer&name=%2F"},
    "query that is no text": {"path": "/things/7", "query_string": "name=%ff"},
    "letters": {"path": "/größer/ /%2F"},
    "slashes": {"path": "//things///7/"},
    "method": {"path": "/things/7", "method": "DELETE"},
    "https": {"path": "/things/7", "base_url": "https://service.example:8443/"},
    "mounted": {"path": "/things/7", "base_url": "http://service.example/below/it"},
    "capitals": {"path": "/things/7", "headers": {"Host": "Service.EXAMPLE:80"}},
    "another language": {"path": "/things/7", "base_url": "http://größer.example"},
}


@pytest.mark.parametrize("name", ["", "service.example", "service.example:8443"], ids=["unnamed", "named", "with port"])
@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS.keys())
def test_an_address_is_understood_as_flask_does(asked: dict[str, Any], name: str) -> None:
    service = Service("planted")
    service.config["SERVER_NAME"] = name or None
    given = Request(EnvironBuilder(**asked).get_environ())

    found, expected = service.create_url_adapter(given), Flask.create_url_adapter(service, given)

    assert found is not None
    assert expected is not None
    assert found.map is service.url_map
    told = ("server_name", "script_name", "subdomain", "url_scheme", "default_method", "query_args")
    assert [getattr(found, each) for each in told] == [getattr(expected, each) for each in told]
    assert found.path_info.lstrip("/") == expected.path_info.lstrip("/")  # by which routes are found


def planted_routes() -> Service:
    service = Service("planted")
    service.add_url_rule("/things/<int:thing>", "thing", lambda thing: str(thing + 1))
    service.add_url_rule("/things/", "things", lambda: url_for("thing", thing=3, _external=True))
    service.add_url_rule("/away", "away", lambda: redirect(url_for("things", page=2)))
    service.add_url_rule("/asked", "asked", lambda: str(request.url_rule))
    return service


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/things/7", 200, "8"),
        ("/things/", 200, "http://localhost/things/3"),
        ("/things?page=%C3%B6", 308, "http://localhost/things/?page=%C3%B6"),
        ("/things//7", 308, "http://localhost/things/7"),
        ("/away", 302, "/things/?page=2"),
        ("/asked", 200, "/asked"),
    ],
)
def test_routes_are_found_and_named(path: str, status: int, told: str) -> None:
    answered = planted_routes().test_client().get(path)

    assert answered.status_code == status
    assert answered.headers.get("Location", answered.text) == told


def test_a_host_that_flask_is_told_not_to_trust_is_refused() -> None:
    service = planted_routes()
    service.config["TRUSTED_HOSTS"] = ["service.example"]
    client = service.test_client()

    trusted, other = (client.get("/things/7", base_url=f"http://{host}.example") for host in ("service", "other"))

    assert (trusted.status_code, other.status_code) == (200, 400)


@pytest.mark.parametrize("host", ["a b", "a/b", "a..b", "[::1", "a:b", "x" * 70])
def test_a_host_that_is_none_is_answered_as_flask_does(host: str) -> None:
    told = []
    for framework in (Service, Flask):
        app = framework("planted")
        app.add_url_rule("/", view_func=lambda: url_for("things", _external=True))
        app.add_url_rule("/things", "things")
        told.append(app.test_client().get("/", headers={"Host": host}))

    mine, flask = told
    assert (mine.status_code, mine.text) == (flask.status_code, flask.text)
