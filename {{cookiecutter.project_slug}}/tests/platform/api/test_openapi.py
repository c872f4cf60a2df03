"""The specifications: valid, cached, and equal to the committed files."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from app import create_app
from app.platform.api import openapi
from app.platform.api.openapi import describe
from app.platform.api.versions import VERSIONS
from app.platform.settings.core import PROJECT_SLUG
from tests.contract.changes import compare
from tests.environments import ROOT
from tests.script_modules import import_script

every_version = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture(scope="module")
def export_openapi() -> ModuleType:
    return import_script("export_openapi")


def operations_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        operation for item in document["paths"].values() for operation in item.values() if "operationId" in operation
    ]


@pytest.mark.req("A7")
@every_version
def test_specification_is_valid(client: FlaskClient, version: str) -> None:
    document = client.get(f"/api/{version}/openapi.json").get_json()

    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == version
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert f"/api/{version}/users/me" in document["paths"]


@pytest.mark.req("A7")
@every_version
def test_specification_has_the_name_of_the_service(environment: Mapping[str, str], version: str) -> None:
    app = create_app({**environment, "SERVICE_NAME": "fruit", "PUBLIC_BASE_URL": "https://fruit.example"})

    info = describe(app, version)["info"]

    assert info["title"] == "fruit"
    assert info["contact"] == {"name": "Operators of fruit", "url": "https://fruit.example"}


@pytest.mark.req("A7")
def test_operation_ids_are_unique_and_tags_have_no_version(app: Flask) -> None:
    document = describe(app, "v1")
    operations = operations_of(document)
    ids = [operation["operationId"] for operation in operations]

    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in ids)
    assert {"users_me", "auth_login"} <= set(ids)
    assert {tag for operation in operations for tag in operation["tags"]} == {tag["name"] for tag in document["tags"]}
    assert not any(tag["name"].startswith("v") for tag in document["tags"])


@pytest.mark.req("A7")
@pytest.mark.parametrize(
    ("method", "path", "security"),
    [
        ("post", "/auth/login", []),
        ("patch", "/users/me", [{"bearer": []}]),
        ("get", "/admin/users", [{"bearer": ["admin"]}]),
    ],
)
def test_operations_declare_their_security(app: Flask, method: str, path: str, security: list[Any]) -> None:
    document = describe(app, "v1")

    assert document["paths"][f"/api/v1{path}"][method]["security"] == security


@pytest.mark.req("A1", "A7")
def test_versions_are_equal_apart_from_their_name(app: Flask) -> None:
    first, second = (json.dumps(describe(app, version)) for version in ("v1", "v2"))

    assert second.replace("/api/v2/", "/api/v1/").replace('"version": "v2"', '"version": "v1"') == first


@pytest.mark.req("A1")
def test_operations_of_a_deprecated_version_are_marked(environment: Mapping[str, str]) -> None:
    app = create_app({**environment, "API_V1_DEPRECATED_AT": "2026-03-01", "API_V1_SUNSET_AT": "2027-01-31"})
    first, second = (operations_of(describe(app, version)) for version in ("v1", "v2"))

    assert all(operation["deprecated"] for operation in first)
    assert not any("deprecated" in operation for operation in second)
    assert list(OpenAPIV31SpecValidator(describe(app, "v1")).iter_errors()) == []
    description = describe(app, "v1")["info"]["description"]
    assert description.startswith("**Deprecated since 2026-03-01: use v2.** It will be removed on 2027-01-31.")
    assert "Deprecation" in first[0]["responses"]["200"]["headers"]
    assert "Deprecation" not in second[0]["responses"]["200"]["headers"]


@pytest.mark.req("A7")
def test_specification_is_built_once(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def record(app: Flask, version: str) -> dict[str, Any]:
        built.append(version)
        return describe(app, version)

    monkeypatch.setattr(openapi, "describe", record)
    client = create_app(environment).test_client()

    responses = {client.get(f"/api/{version}/openapi.json").data for version in (*VERSIONS, *VERSIONS)}

    assert built == list(VERSIONS)
    assert len(responses) == len(VERSIONS)


@pytest.mark.req("A7")
def test_specification_is_deterministic(environment: Mapping[str, str]) -> None:
    once, again = (json.dumps(describe(create_app(environment), "v1")) for _ in range(2))

    assert once == again


@pytest.mark.req("A7")
@every_version
def test_committed_specification_is_current(export_openapi: ModuleType, version: str) -> None:
    live, committed = export_openapi.specifications()[version], export_openapi.committed(version)

    changes = [str(change) for change in compare(committed, live)]

    assert changes == [], "check for breaking changes, then run: make openapi"
    assert export_openapi.text(live) == (export_openapi.FOLDER / f"{version}.json").read_text(encoding="utf-8")


@pytest.fixture
def _log_handlers() -> Iterator[None]:
    """Keep the log handlers: those of an app that a test creates write to the output of this test only."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    yield
    root.handlers = handlers


@pytest.mark.usefixtures("_log_handlers")
@pytest.mark.req("A7")
def test_breaking_change_needs_confirmation(
    export_openapi: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export_openapi, "FOLDER", tmp_path)
    monkeypatch.delenv("BREAKING", raising=False)
    export_openapi.main()
    file = tmp_path / "v1.json"
    previous = json.loads(file.read_text(encoding="utf-8"))
    previous["paths"]["/api/v1/fruit"] = {"get": {"responses": {}}}
    file.write_text(json.dumps(previous), encoding="utf-8")

    with pytest.raises(SystemExit, match="BREAKING=yes"):
        export_openapi.main()
    unconfirmed = json.loads(file.read_text(encoding="utf-8"))
    monkeypatch.setenv("BREAKING", "yes")
    export_openapi.main()

    assert "v1: BREAKING: GET /api/v1/fruit: removed" in capsys.readouterr().out
    assert unconfirmed == previous
    assert "/api/v1/fruit" not in json.loads(file.read_text(encoding="utf-8"))["paths"]


@pytest.mark.req("T5")
@every_version
def test_committed_specification_contains_no_jinja(version: str) -> None:
    copy = (ROOT / "docs" / "api" / f"{version}.json").read_text(encoding="utf-8")

    assert PROJECT_SLUG in copy
    assert not re.search(r"\{[{\x25#]", copy.replace(PROJECT_SLUG, ""))
