"""Example values for the specification, built from the examples of the fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT_EXAMPLES = {
    "date-time": "2026-01-02T03:04:05+00:00",
    "date": "2026-01-02",
    "email": "ada@example.com",
    "uuid": "1d178a50-1a9b-41cb-873d-a2d8a51de140",
    "uri": "https://example.com/",
}
TYPE_EXAMPLES = {"boolean": True, "integer": 1, "number": 1.5, "string": "text", "null": None}


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Return an example value of a schema: its own example, or the simplest value of its type.

    `schemas`: the targets of references. Patterns are ignored, so a field with a pattern must declare an example.
    """
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for keyword in ("example", "const", "default"):
        if schema.get(keyword) is not None:
            return schema[keyword]
    if choices := schema.get("enum") or schema.get("examples"):
        return choices[0]
    if alternatives := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return example(alternatives[0], schemas)
    return _type_example(schema, schemas)


def _type_example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    type_ = schema.get("type", "object")
    type_ = type_ if isinstance(type_, str) else type_[0]
    if type_ == "object":
        return {name: example(part, schemas) for name, part in schema.get("properties", {}).items()}
    if type_ == "array":
        return [example(schema.get("items", {}), schemas)]
    if type_ == "string" and schema.get("format") in FORMAT_EXAMPLES:
        return FORMAT_EXAMPLES[schema["format"]]
    return schema.get("minimum", TYPE_EXAMPLES[type_])
