"""Examples for the specification, put together from those of the fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OF_FORMATS = {
    "date-time": "2026-01-02T03:04:05+00:00",
    "date": "2026-01-02",
    "email": "ada@example.com",
    "uuid": "1d178a50-1a9b-41cb-873d-a2d8a51de140",
    "uri": "https://example.com/",
}
OF_TYPES = {"boolean": True, "integer": 1, "number": 1.5, "string": "text", "null": None}


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value of a schema: its own example, or the simplest that its type allows.

    `schemas` are those that references lead to. Nothing is known of patterns: a field that has one brings an example.
    """
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for word in ("example", "const", "default"):
        if schema.get(word) is not None:
            return schema[word]
    if choices := schema.get("enum") or schema.get("examples"):
        return choices[0]
    if alternatives := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return example(alternatives[0], schemas)
    return _of_type(schema, schemas)


def _of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    kind = schema.get("type", "object")
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "object":
        return {name: example(part, schemas) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema.get("items", {}), schemas)]
    if kind == "string" and schema.get("format") in OF_FORMATS:
        return OF_FORMATS[schema["format"]]
    return schema.get("minimum", OF_TYPES[kind])
