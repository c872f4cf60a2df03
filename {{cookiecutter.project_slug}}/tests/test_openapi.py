"""The specifications: valid, made once, and none of them changed by accident."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from app import create_app, openapi
from app.openapi import describe
from app.settings import PROJECT
from app.versions import VERSIONS
from tests.contract.changes import compare
from tests.contract.operations import operations
from tests.environments import ROOT

every_version = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture(autouse=True)
def _tasks_stay(app: Flask) -> Iterator[None]:
    """Tasks of later tests would go to the app that was made last."""
    yield
    app.extensions["celery"].set_current()


@pytest.fixture(scope="module")
def exporting() -> ModuleType:
    spec = importlib.util.spec_from_file_location("export_openapi", ROOT / "scripts" / "export_openapi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.req("A7")
@every_version
def test_the_specification_is_valid(client: FlaskClient, version: str) -> None:
    document = client.get(f"/api/{version}/openapi.json").get_json()

    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == version
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert f"/api/{version}/locations" in document["paths"]


@pytest.mark.req("A7")
@every_version
def test_it_is_called_what_the_service_is_called(environment: Mapping[str, str], version: str) -> None:
    app = create_app({**environment, "SERVICE_NAME": "fruit", "PUBLIC_BASE_URL": "https://fruit.example"})

    info = describe(app, version)["info"]

    assert info["title"] == "fruit"
    assert info["contact"] == {"name": "Those who run fruit", "url": "https://fruit.example"}


@pytest.mark.req("A7")
def test_operations_have_names_of_their_own_and_tags_without_a_version(app: Flask) -> None:
    first = describe(app, "v1")
    said = [operation.said for operation in operations(app) if operation.route.rule.rule.startswith("/api/v1/")]
    names = [operation["operationId"] for operation in said]

    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)
    assert {"locations_save", "auth_login"} <= set(names)
    assert {tag for operation in said for tag in operation["tags"]} == {tag["name"] for tag in first["tags"]}
    assert not any(tag["name"].startswith("v") for tag in first["tags"])


@pytest.mark.req("A7")
@pytest.mark.parametrize(
    ("method", "path", "security"),
    [
        ("post", "/auth/login", []),
        ("patch", "/users/me", [{"bearer": []}]),
        ("get", "/users/me", [{"bearer": []}, {"apiKey": ["profile:read"]}]),
        ("post", "/locations", [{"bearer": []}, {"apiKey": ["locations:write"]}]),
        ("get", "/admin/users", [{"bearer": ["admin"]}]),
    ],
)
def test_it_says_who_may_call(app: Flask, method: str, path: str, security: list[Any]) -> None:
    document = describe(app, "v1")

    assert document["paths"][f"/api/v1{path}"][method]["security"] == security
    assert document["components"]["securitySchemes"].keys() == {"bearer", "apiKey"}


@pytest.mark.req("A1", "A7")
def test_versions_offer_the_same_as_long_as_nobody_makes_them_differ(app: Flask) -> None:
    first, second = (json.dumps(describe(app, version)) for version in ("v1", "v2"))

    assert second.replace("/api/v2/", "/api/v1/").replace('"version": "v2"', '"version": "v1"') == first


@pytest.mark.req("A1")
def test_operations_of_a_deprecated_version_are_marked(environment: Mapping[str, str]) -> None:
    app = create_app({**environment, "API_V1_DEPRECATED_AT": "2026-03-01", "API_V1_SUNSET_AT": "2027-01-31"})
    first, second = (
        [
            operation
            for item in describe(app, version)["paths"].values()
            for operation in item.values()
            if "operationId" in operation
        ]
        for version in ("v1", "v2")
    )

    assert all(operation["deprecated"] for operation in first)
    assert not any("deprecated" in operation for operation in second)
    assert list(OpenAPIV31SpecValidator(describe(app, "v1")).iter_errors()) == []
    about = describe(app, "v1")["info"]["description"]
    assert about.startswith("**Deprecated since 2026-03-01: use v2.** It goes away on 2027-01-31.")
    assert "Deprecation" in first[0]["responses"]["200"]["headers"]
    assert "Deprecation" not in second[0]["responses"]["200"]["headers"]


@pytest.mark.req("A7")
def test_it_is_made_once(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def note(app: Flask, version: str) -> dict[str, Any]:
        made.append(version)
        return describe(app, version)

    monkeypatch.setattr(openapi, "describe", note)
    client = create_app(environment).test_client()

    answers = {client.get(f"/api/{version}/openapi.json").data for version in (*VERSIONS, *VERSIONS)}

    assert made == list(VERSIONS)
    assert len(answers) == len(VERSIONS)


@pytest.mark.req("A7")
def test_the_same_code_always_makes_the_same_specification(environment: Mapping[str, str]) -> None:
    once, again = (json.dumps(describe(create_app(environment), "v1")) for _ in range(2))

    assert once == again


@pytest.mark.req("A7")
@every_version
def test_nothing_has_changed_since_the_specification_was_committed(exporting: ModuleType, version: str) -> None:
    live, committed = exporting.specifications()[version], exporting.committed(version)

    changes = [str(change) for change in compare(committed, live)]

    assert changes == [], "look at what breaks callers, and then run: make openapi"
    assert exporting.text(live) == (exporting.FOLDER / f"{version}.json").read_text(encoding="utf-8")


@pytest.mark.req("A7")
def test_what_breaks_callers_is_written_on_purpose_only(
    exporting: ModuleType, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "FOLDER", tmp_path)
    monkeypatch.delenv("BREAKING", raising=False)
    exporting.main()
    file = tmp_path / "v1.json"
    more = json.loads(file.read_text(encoding="utf-8"))
    more["paths"]["/api/v1/fruit"] = {"get": {"responses": {}}}
    file.write_text(json.dumps(more), encoding="utf-8")

    with pytest.raises(SystemExit, match="BREAKING=yes"):
        exporting.main()
    refused = json.loads(file.read_text(encoding="utf-8"))
    monkeypatch.setenv("BREAKING", "yes")
    exporting.main()

    assert "v1: BREAKING: GET /api/v1/fruit: removed" in capsys.readouterr().out
    assert refused == more
    assert "/api/v1/fruit" not in json.loads(file.read_text(encoding="utf-8"))["paths"]


@pytest.mark.req("T5")
@every_version
def test_nothing_in_a_committed_copy_is_mistaken_for_a_template(version: str) -> None:
    copy = (ROOT / "docs" / "api" / f"{version}.json").read_text(encoding="utf-8")

    assert PROJECT in copy
    assert not re.search(r"\{[{\x25#]", copy.replace(PROJECT, ""))
