"""Which differences between two specifications break clients."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.contract.changes import compare

SPECIFICATION: dict[str, Any] = {
    "info": {"description": "Fruit."},
    "paths": {
        "/fruit/{id}": {
            "parameters": [{"in": "path", "name": "id", "required": True, "schema": {"type": "integer"}}],
            "get": {
                "operationId": "fruit_get",
                "security": [{"bearer": []}, {"apiKey": ["fruit:read"]}],
                "parameters": [{"in": "query", "name": "ripe", "schema": {"type": "boolean"}}],
                "responses": {"200": {"$ref": "#/components/responses/Fruit"}, "404": {"description": "None."}},
            },
            "put": {
                "operationId": "fruit_put",
                "security": [],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/New"}}, "text/csv": {}}
                },
                "responses": {"204": {"description": "Done."}},
            },
        }
    },
    "components": {
        "headers": {"ETag": {"required": True, "schema": {"type": "string"}}},
        "responses": {
            "Fruit": {
                "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Fruit"}}},
            }
        },
        "schemas": {
            "Fruit": {
                "type": "object",
                "required": ["kind"],
                "properties": {
                    "kind": {"enum": ["apple", "pear"]},
                    "weight": {"type": ["number", "null"]},
                    "picked": {"type": "string", "format": "date-time"},
                    "parent": {"$ref": "#/components/schemas/Fruit"},
                },
            },
            "New": {
                "type": "object",
                "required": ["kind"],
                "additionalProperties": False,
                "properties": {
                    "kind": {"enum": ["apple", "pear"]},
                    "note": {"type": "string", "maxLength": 10},
                    "marks": {"type": "array", "maxItems": 5, "items": {"type": "integer", "minimum": 0}},
                    "size": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
            },
        },
    },
}
GET, PUT = ("paths", "/fruit/{id}", "get"), ("paths", "/fruit/{id}", "put")
FRUIT, NEW = ("components", "schemas", "Fruit"), ("components", "schemas", "New")
JSON = (*PUT, "requestBody", "content", "application/json")
GONE = object()

BREAKING = [
    (("paths", "/fruit/{id}"), GONE),
    (PUT, GONE),
    ((*GET, "operationId"), "fruit_read"),
    ((*GET, "security"), [{"bearer": []}]),
    ((*GET, "security"), [{"bearer": ["admin"]}, {"apiKey": ["fruit:read"]}]),
    ((*PUT, "security"), [{"bearer": []}]),
    ((*GET, "parameters"), []),
    ((*GET, "parameters", 0, "required"), True),
    ((*GET, "parameters", 0, "schema"), {"type": "integer"}),
    ((*GET, "parameters", 1), {"in": "query", "name": "new", "required": True, "schema": {}}),
    ((*GET, "requestBody"), {"required": True, "content": {}}),
    ((*PUT, "requestBody", "required"), True),
    ((*PUT, "requestBody", "content", "text/csv"), GONE),
    ((*GET, "responses", "404"), GONE),
    (("components", "responses", "Fruit", "headers", "ETag"), GONE),
    (("components", "headers", "ETag", "required"), False),
    (("components", "responses", "Fruit", "content", "application/json"), GONE),
    ((*FRUIT, "properties", "weight"), GONE),
    ((*FRUIT, "properties", "weight", "type"), ["number", "null", "string"]),
    ((*FRUIT, "properties", "kind", "enum"), GONE),
    ((*FRUIT, "properties", "picked", "format"), GONE),
    ((*FRUIT, "required"), []),
    ((*NEW, "properties", "note"), GONE),
    ((*NEW, "properties", "note", "maxLength"), 9),
    ((*NEW, "properties", "note", "minLength"), 1),
    ((*NEW, "properties", "note", "pattern"), "^[a-z]*$"),
    ((*NEW, "properties", "kind", "enum"), ["apple"]),
    ((*NEW, "properties", "marks", "items", "minimum"), 1),
    ((*NEW, "properties", "marks", "maxItems"), 4),
    ((*NEW, "properties", "size", "anyOf"), [{"type": "string"}]),
    ((*NEW, "required"), ["kind", "note"]),
    ((*NEW, "properties", "new"), {"type": "string"}, (*NEW, "required"), ["kind", "new"]),
]
NON_BREAKING = [
    (("info", "description"), "Fruit and vegetables."),
    (("paths", "/vegetables"), {"get": {"operationId": "vegetables", "responses": {}}}),
    ((*GET, "deprecated"), True),
    ((*GET, "security"), [{"bearer": []}, {"apiKey": ["fruit:read"]}, {"cookie": []}]),
    ((*GET, "security"), []),
    ((*GET, "parameters", 1), {"in": "query", "name": "new", "schema": {}}),
    ((*GET, "requestBody"), {"content": {}}),
    ((*GET, "responses", "429"), {"description": "Too many."}),
    (("components", "responses", "Fruit", "headers", "Age"), {"schema": {"type": "integer"}}),
    ((*FRUIT, "properties", "colour"), {"type": "string"}),
    ((*FRUIT, "properties", "weight", "type"), "integer"),
    ((*FRUIT, "properties", "kind", "enum"), ["apple"]),
    ((*FRUIT, "properties", "kind", "enum"), ["apple", "pear", "plum"]),
    ((*FRUIT, "required"), ["kind", "weight"]),
    ((*NEW, "properties", "note", "maxLength"), 11),
    ((*NEW, "properties", "note", "type"), ["string", "null"]),
    ((*NEW, "properties", "marks", "maxItems"), 50),
    ((*NEW, "properties", "kind", "enum"), ["apple", "pear", "plum"]),
    ((*NEW, "properties", "new"), {"type": "string"}),
    ((*NEW, "required"), []),
    ((*NEW, "additionalProperties"), True),
    ((*JSON, "example"), {"kind": "pear"}),
]


def changed(*edits: Any) -> dict[str, Any]:
    """Return the specification with the value at each path replaced, added or removed."""
    document = deepcopy(SPECIFICATION)
    for path, value in zip(edits[::2], edits[1::2], strict=True):
        part: Any = document
        for step in path[:-1]:
            part = part[step]
        if value is GONE:
            del part[path[-1]]
        elif isinstance(part, list):
            part[path[-1] : path[-1] + 1] = [value]
        else:
            part[path[-1]] = value
    return document


@pytest.mark.parametrize("edits", BREAKING, ids=lambda edits: "-".join(map(str, edits[0][-3:])))
@pytest.mark.req("A7")
def test_breaking_change_is_reported(edits: tuple[Any, ...]) -> None:
    changes = compare(SPECIFICATION, changed(*edits))

    assert any(change.breaking for change in changes), changes


@pytest.mark.parametrize("edits", NON_BREAKING, ids=lambda edits: "-".join(map(str, edits[0][-3:])))
@pytest.mark.req("A7")
def test_non_breaking_change_is_reported_as_such(edits: tuple[Any, ...]) -> None:
    changes = compare(SPECIFICATION, changed(*edits))

    assert changes
    assert not [str(change) for change in changes if change.breaking]


@pytest.mark.fault("F42")
def test_new_enum_value_in_request_and_response_is_non_breaking() -> None:
    values = ["apple", "pear", "plum"]
    changes = compare(
        SPECIFICATION,
        changed((*FRUIT, "properties", "kind", "enum"), values, (*NEW, "properties", "kind", "enum"), values),
    )

    assert [str(change) for change in changes] == [
        "non-breaking: GET /fruit/{id} / 200 / application/json / kind: enum: added 'plum'",
        "non-breaking: PUT /fruit/{id} / body / application/json / kind: enum: added 'plum'",
    ]


def test_equal_specifications_have_no_changes() -> None:
    assert compare(SPECIFICATION, deepcopy(SPECIFICATION)) == []


def test_change_names_its_location() -> None:
    [change] = compare(SPECIFICATION, changed((*NEW, "properties", "note", "maxLength"), 9))

    assert str(change) == "BREAKING: PUT /fruit/{id} / body / application/json / note: maxLength: 10 -> 9"
