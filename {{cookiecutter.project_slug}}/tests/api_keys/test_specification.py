"""The specification names the scope that an API key needs for an operation."""

from __future__ import annotations

import pytest
from flask import Flask

from app.platform.api.openapi import describe


@pytest.mark.req("A2", "A7")
def test_operations_declare_the_scope_of_api_keys(app: Flask) -> None:
    document = describe(app, "v1")

    security = document["paths"]["/api/v1/users/me"]["get"]["security"]
    assert security == [{"bearer": []}, {"apiKey": ["profile:read"]}]
    assert document["components"]["securitySchemes"].keys() == {"bearer", "apiKey"}


def test_new_key_lists_the_scopes_of_all_features(app: Flask) -> None:
    scopes = describe(app, "v1")["components"]["schemas"]["NewApiKey"]["properties"]["scopes"]

    assert "profile:read" in scopes["items"]["enum"]
