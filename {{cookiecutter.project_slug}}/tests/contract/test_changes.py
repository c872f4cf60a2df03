"""Which differences between two specifications break callers."""

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
                    "marks": {"type": "array", "items": {"type": "integer", "minimum": 0}},
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
    ((*FRUIT, "properties", "kind", "enum"), ["apple", "pear", "plum"]),
    ((*FRUIT, "properties", "picked", "format"), GONE),
    ((*FRUIT, "required"), []),
    ((*NEW, "properties", "note"), GONE),
    ((*NEW, "properties", "note", "maxLength"), 9),
    ((*NEW, "properties", "note", "minLength"), 1),
    ((*NEW, "properties", "note", "pattern"), "^[a-z]*$"),
    ((*NEW, "properties", "kind", "enum"), ["apple"]),
    ((*NEW, "properties", "marks", "items", "minimum"), 1),
    ((*NEW, "properties", "size", "anyOf"), [{"type": "string"}]),
    ((*NEW, "required"), ["kind", "note"]),
    ((*NEW, "properties", "new"), {"type": "string"}, (*NEW, "required"), ["kind", "new"]),
]
HARMLESS = [
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
    ((*FRUIT, "required"), ["kind", "weight"]),
    ((*NEW, "properties", "note", "maxLength"), 11),
    ((*NEW, "properties", "note", "type"), ["string", "null"]),
    ((*NEW, "properties", "kind", "enum"), ["apple", "pear", "plum"]),
    ((*NEW, "properties", "new"), {"type": "string"}),
    ((*NEW, "required"), []),
    ((*NEW, "additionalProperties"), True),
    ((*JSON, "example"), {"kind": "pear"}),
]


def changed(*edits: Any) -> dict[str, Any]:
    """The specification with the value at each path replaced, added or removed."""
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
def test_what_breaks_callers_is_found_and_said_to(edits: tuple[Any, ...]) -> None:
    found = compare(SPECIFICATION, changed(*edits))

    assert any(change.breaking for change in found), found


@pytest.mark.parametrize("edits", HARMLESS, ids=lambda edits: "-".join(map(str, edits[0][-3:])))
@pytest.mark.req("A7")
def test_what_breaks_nobody_is_found_and_let_pass(edits: tuple[Any, ...]) -> None:
    found = compare(SPECIFICATION, changed(*edits))

    assert found
    assert not [str(change) for change in found if change.breaking]


def test_equal_specifications_do_not_differ() -> None:
    assert compare(SPECIFICATION, deepcopy(SPECIFICATION)) == []


def test_a_change_says_where_it_is() -> None:
    [change] = compare(SPECIFICATION, changed((*NEW, "properties", "note", "maxLength"), 9))

    assert str(change) == "BREAKING: PUT /fruit/{id} / body / application/json / note: maxLength: 10 -> 9"
