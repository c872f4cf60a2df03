"""JSON like Flask's own, and no cookies."""

from __future__ import annotations

import pytest
from flask import session
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.platform.web.flask_app import ServiceFlask


def get_json(content: dict[str, object]) -> TestResponse:
    service = ServiceFlask("test")
    service.add_url_rule("/", view_func=lambda: content)
    return service.test_client().get("/")


@pytest.mark.parametrize("value", ["\ud800", 2**70], ids=["lone surrogate", "70 bits"])
def test_values_that_orjson_rejects_are_serialised(value: object) -> None:
    response = get_json({"value": value})

    assert response.mimetype == "application/json"
    assert response.json == {"value": value}


def test_json_is_compact_and_keeps_order_and_non_ascii() -> None:
    response = get_json({"b": 1.5, "a": "größer", "c": [None, True]})

    assert response.data == '{"b":1.5,"a":"größer","c":[null,true]}\n'.encode()


@pytest.mark.req("S10")
def test_responses_set_no_cookies(client: FlaskClient) -> None:
    responses = [client.get("/health"), client.post("/api/v1/auth/login", json={"email": "a@example.org"})]

    assert [response.headers.get("Set-Cookie") for response in responses] == [None, None]


def test_session_rejects_writes() -> None:
    service = ServiceFlask("test")
    service.secret_key = "a key"

    with service.test_request_context(), pytest.raises(RuntimeError, match="session is unavailable"):
        session["user"] = 1
