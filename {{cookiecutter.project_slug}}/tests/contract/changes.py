"""Differences between two specifications of the API, and whether they break clients of the old one.

A specification becomes a tree of nodes: operations, parameters, bodies, responses, and their properties. Requests may
accept more than before, and responses may promise more; the opposite is breaking. A new value in an enum is not
breaking, also in a response: clients must ignore values that are unknown to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Location = tuple[str, ...]
Node = dict[str, Any]  # the values of one node that matter to a client, by keyword

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
CONSTRAINTS = ("pattern", "format", "const", "multipleOf", "uniqueItems")
ALTERNATIVES = ("anyOf", "oneOf", "allOf")


@dataclass(frozen=True)
class Change:
    """One difference."""

    location: str
    description: str
    breaking: bool

    def __str__(self) -> str:
        return f"{'BREAKING' if self.breaking else 'non-breaking'}: {self.location}: {self.description}"


def compare(old: Json, new: Json) -> list[Change]:
    """Return every difference that affects a client; one change stands for all differences in texts and examples."""
    changes = list(_changes(dict(_nodes(old)), dict(_nodes(new))))
    return changes or ([Change("document", "texts or examples", breaking=False)] if old != new else [])


def _changes(old: Mapping[Location, Node], new: Mapping[Location, Node]) -> Iterator[Change]:
    for location in dict.fromkeys([*old, *new]):
        name = " / ".join(location)
        if location in old and location in new:
            changes = _node_changes(old[location], new[location])
            yield from (Change(name, description, breaking=breaking) for description, breaking in changes)
        elif location[:-1] in old and location[:-1] in new:  # the parent's change covers its children
            yield _removed_or_added(name, new.get(location))


def _removed_or_added(name: str, added: Node | None) -> Change:
    if added is None:
        return Change(name, "removed", breaking=True)
    required = added.get("is input", False) and added["required"]
    return Change(name, "added and required" if required else "added", breaking=required)


def _node_changes(old: Node, new: Node) -> Iterator[tuple[str, bool]]:
    is_input = new.get("is input", False)
    for keyword in dict.fromkeys([*old, *new]):
        before, after = old.get(keyword), new.get(keyword)
        if before != after:
            narrower, wider = _direction(keyword, before, after)
            yield f"{keyword}: {_difference(before, after)}", narrower if is_input else wider


def _direction(keyword: str, before: Any, after: Any) -> tuple[bool, bool]:
    """Return whether a change breaks clients in a request (accepts less) and in a response (promises less)."""
    if keyword in ("enum", "type"):
        return _values_direction(keyword, before, after)
    if keyword in LOWER_BOUNDS + UPPER_BOUNDS:
        sign = 1 if keyword in LOWER_BOUNDS else -1
        return after is not None and (before is None or sign * after > sign * before), False
    if keyword in CONSTRAINTS:
        return after is not None, before is not None
    if keyword in ("required", "closed"):
        return bool(after), bool(before) and keyword == "required"
    if keyword == "security":
        return False, _requires_more(before, after)
    return False, keyword not in ("deprecated", "is input")  # operationId, number of alternatives


def _values_direction(keyword: str, before: Any, after: Any) -> tuple[bool, bool]:
    if keyword == "enum":
        return after is not None and not (before and before <= after), after is None
    old_types, new_types = before or frozenset(TYPES), after or frozenset(TYPES)
    return not old_types <= new_types, not new_types <= old_types


def _requires_more(before: Any, after: Any) -> bool:
    """Whether a client that met one of the old security requirements may fail the new ones."""
    return bool(after) and not (before and all(any(new <= old for new in after) for old in before))


def _difference(before: Any, after: Any) -> str:
    if not (isinstance(before, frozenset) and isinstance(after, frozenset)):
        return f"{_text(before)} -> {_text(after)}"
    parts = {"added": after - before, "removed": before - after}
    return "; ".join(f"{word} {_text(values)}" for word, values in parts.items() if values)


def _text(value: Any) -> str:
    return ", ".join(sorted(map(_text, value))) if isinstance(value, frozenset) else str(value)


def _nodes(document: Json) -> Iterator[tuple[Location, Node]]:
    yield (), {}
    for path, item in document.get("paths", {}).items():
        for method in [name for name in METHODS if name in item]:
            shared = item.get("parameters", [])
            yield from _operation_nodes(document, (f"{method.upper()} {path}",), item[method], shared)


def _operation_nodes(
    document: Json, location: Location, operation: Json, shared: list[Json]
) -> Iterator[tuple[Location, Node]]:
    requirements = frozenset(
        frozenset((name, *roles) for name, roles in alternative.items())
        for alternative in operation.get("security", [])
    )
    deprecated = operation.get("deprecated", False)
    yield location, {"operationId": operation.get("operationId"), "deprecated": deprecated, "security": requirements}
    for parameter in [*shared, *operation.get("parameters", [])]:
        node = {"is input": True, "required": parameter.get("required", False)}
        name = f"{parameter['in']} {parameter['name']}"
        yield from _schema_nodes(document, (*location, name), parameter["schema"], node)
    if body := operation.get("requestBody"):
        yield (*location, "body"), {"is input": True, "required": body.get("required", False)}
        yield from _content_nodes(document, (*location, "body"), body, is_input=True)
    for status, reference in operation.get("responses", {}).items():
        yield from _response_nodes(document, (*location, status), _resolve(document, reference))


def _response_nodes(document: Json, location: Location, response: Json) -> Iterator[tuple[Location, Node]]:
    yield location, {}
    for name, reference in response.get("headers", {}).items():
        header = _resolve(document, reference)
        yield from _schema_nodes(
            document, (*location, name), header["schema"], {"required": header.get("required", False)}
        )
    yield from _content_nodes(document, location, response, is_input=False)


def _content_nodes(
    document: Json, location: Location, part: Json, *, is_input: bool
) -> Iterator[tuple[Location, Node]]:
    for media_type, content in part.get("content", {}).items():
        node = {"is input": is_input, "required": False}
        yield from _schema_nodes(document, (*location, media_type), content.get("schema", {}), node)


def _schema_nodes(
    document: Json, location: Location, reference: Json, node: Node, parents: tuple[str, ...] = ()
) -> Iterator[tuple[Location, Node]]:
    if (name := reference.get("$ref", "")) in parents:
        return  # a recursive schema
    schema, is_input = _resolve(document, reference), node.get("is input", False)
    parents = (*parents, name) if name else parents
    closed = schema.get("additionalProperties") is False and is_input
    yield location, {**node, **_schema_keywords(schema), "closed": closed}
    for name, (part, required) in _subschemas(schema).items():
        yield from _schema_nodes(
            document, (*location, name), part, {"is input": is_input, "required": required}, parents
        )


def _schema_keywords(schema: Json) -> Node:
    node = {word: schema[word] for word in LOWER_BOUNDS + UPPER_BOUNDS + CONSTRAINTS if word in schema}
    types = frozenset([schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", ()))
    if types:
        node["type"] = types | {"integer"} if "number" in types else types
    if "enum" in schema:
        node["enum"] = frozenset(map(repr, schema["enum"]))
    return node | {word: len(schema[word]) for word in ALTERNATIVES if word in schema}


def _subschemas(schema: Json) -> dict[str, tuple[Json, bool]]:
    """Return the schemas inside a schema, each with whether it is required."""
    required = schema.get("required", ())
    inner = {name: (part, name in required) for name, part in schema.get("properties", {}).items()}
    inner |= {f"{word} {n}": (part, False) for word in ALTERNATIVES for n, part in enumerate(schema.get(word, ()))}
    return inner | ({"items": (schema["items"], False)} if "items" in schema else {})


def _resolve(document: Json, part: Json) -> Json:
    while "$ref" in part:
        target: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = target
    return part
