"""What differs between two specifications of the API, and whether a caller who goes by the old one would notice.

Each is laid out as a tree of nodes: operations, parameters, bodies, answers, and their properties. An input may take
more than before, and an answer may promise more; the other way round breaks somebody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Where = tuple[str, ...]
Node = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
EXACT = ("pattern", "format", "const", "multipleOf", "uniqueItems")
ALTERNATIVES = ("anyOf", "oneOf", "allOf")


@dataclass(frozen=True)
class Change:
    """One difference."""

    where: str
    what: str
    breaking: bool

    def __str__(self) -> str:
        return f"{'BREAKING' if self.breaking else 'harmless'}: {self.where}: {self.what}"


def compare(old: Json, new: Json) -> list[Change]:
    """Every difference that a caller could notice; one for all others together."""
    found = list(_differences(dict(_nodes(old)), dict(_nodes(new))))
    return found or ([Change("document", "other texts or examples", breaking=False)] if old != new else [])


def _differences(old: Mapping[Where, Node], new: Mapping[Where, Node]) -> Iterator[Change]:
    for where in dict.fromkeys([*old, *new]):
        name = " / ".join(where)
        if where in old and where in new:
            changes = _of_node(old[where], new[where])
            yield from (Change(name, what, breaking=breaking) for what, breaking in changes)
        elif where[:-1] in old and where[:-1] in new:  # what stands below something new, or gone, goes without saying
            needed = where in new and new[where].get("is input", False) and new[where]["required"]
            yield Change(
                name, "added" + " and required" * needed if where in new else "removed", where in old or needed
            )


def _of_node(old: Node, new: Node) -> Iterator[tuple[str, bool]]:
    is_input = new.get("is input", False)
    for fact in dict.fromkeys([*old, *new]):
        was, is_ = old.get(fact), new.get(fact)
        if was != is_:
            narrower, wider = _direction(fact, was, is_)
            yield f"{fact}: {_shown(was)} -> {_shown(is_)}", narrower if is_input else wider


def _direction(fact: str, was: Any, is_: Any) -> tuple[bool, bool]:
    """Whether a fact allows less than it did, and whether it allows more."""
    if fact in ("type", "enum"):
        before, after = was or frozenset(TYPES), is_ or frozenset(TYPES)
        return (is_ is not None and not before <= after), (was is not None and not after <= before)
    if fact in LOWER + UPPER:
        sign = 1 if fact in LOWER else -1
        return is_ is not None and (was is None or sign * is_ > sign * was), False
    if fact in EXACT:
        return is_ is not None, was is not None
    if fact in ("required", "closed"):
        return bool(is_), bool(was) and fact == "required"
    if fact == "security":
        return False, bool(is_) and not (was and all(any(now <= before for now in is_) for before in was))
    return False, fact not in ("deprecated", "is input")  # an operation's name, alternatives


def _shown(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, frozenset) else value


def _nodes(document: Json) -> Iterator[tuple[Where, Node]]:
    yield (), {}
    for path, item in document.get("paths", {}).items():
        for method in [name for name in METHODS if name in item]:
            shared = item.get("parameters", [])
            yield from _of_operation(document, (f"{method.upper()} {path}",), item[method], shared)


def _of_operation(document: Json, where: Where, operation: Json, shared: list[Json]) -> Iterator[tuple[Where, Node]]:
    schemes = frozenset(
        frozenset((name, *roles) for name, roles in alternative.items())
        for alternative in operation.get("security", [])
    )
    deprecated = operation.get("deprecated", False)
    yield where, {"operationId": operation.get("operationId"), "deprecated": deprecated, "security": schemes}
    for given in [*shared, *operation.get("parameters", [])]:
        facts = {"is input": True, "required": given.get("required", False)}
        yield from _of_schema(document, (*where, f"{given['in']} {given['name']}"), given["schema"], facts)
    if body := operation.get("requestBody"):
        yield (*where, "body"), {"is input": True, "required": body.get("required", False)}
        yield from _of_content(document, (*where, "body"), body, is_input=True)
    for status, reference in operation.get("responses", {}).items():
        answer = _resolved(document, reference)
        yield (*where, status), {}
        for name, header in answer.get("headers", {}).items():
            facts = {"required": _resolved(document, header).get("required", False)}
            yield from _of_schema(document, (*where, status, name), _resolved(document, header)["schema"], facts)
        yield from _of_content(document, (*where, status), answer, is_input=False)


def _of_content(document: Json, where: Where, part: Json, *, is_input: bool) -> Iterator[tuple[Where, Node]]:
    for media, said in part.get("content", {}).items():
        facts = {"is input": is_input, "required": False}
        yield from _of_schema(document, (*where, media), said.get("schema", {}), facts)


def _of_schema(
    document: Json, where: Where, reference: Json, facts: Node, above: tuple[str, ...] = ()
) -> Iterator[tuple[Where, Node]]:
    if (name := reference.get("$ref", "")) in above:
        return  # a schema that leads back to itself
    schema, is_input = _resolved(document, reference), facts.get("is input", False)
    above = (*above, name) if name else above
    said = {word: schema[word] for word in LOWER + UPPER + EXACT if word in schema}
    kinds = frozenset([schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", ()))
    said |= {"type": kinds | {"integer"} if "number" in kinds else kinds} if kinds else {}
    said |= {"enum": frozenset(map(repr, schema["enum"]))} if "enum" in schema else {}
    said |= {word: len(schema[word]) for word in ALTERNATIVES if word in schema}
    yield where, {**facts, **said, "closed": schema.get("additionalProperties") is False and is_input}
    inner = {name: (part, name in schema.get("required", ())) for name, part in schema.get("properties", {}).items()}
    inner |= {f"{word} {n}": (part, False) for word in ALTERNATIVES for n, part in enumerate(schema.get(word, ()))}
    inner |= {"items": (schema["items"], False)} if "items" in schema else {}
    for name, (part, required) in inner.items():
        yield from _of_schema(document, (*where, name), part, {"is input": is_input, "required": required}, above)


def _resolved(document: Json, part: Json) -> Json:
    while "$ref" in part:
        found: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part
