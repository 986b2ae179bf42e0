"""JSON schemas as data: walk them, drop prose, share what repeats, write the same bytes every time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
_PROSE = frozenset({"description", "title", "example", "examples", "externalDocs", "$comment"})
_SCHEMAS_BY_NAME = ("properties", "patternProperties", "definitions", "dependencies")
_ONE_SCHEMA = ("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")
_SHARED_FROM_BYTES = 160
_LINE = 110


def with_children(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with `change` applied to each schema directly inside it."""
    changed = dict(schema)
    for keyword in _SCHEMAS_BY_NAME:
        if keyword in changed:
            changed[keyword] = {
                name: change(child) if isinstance(child, dict) else child for name, child in changed[keyword].items()
            }
    for keyword in _ONE_SCHEMA:
        if isinstance(changed.get(keyword), dict):
            changed[keyword] = change(changed[keyword])
    for keyword in _SCHEMA_LISTS:
        if keyword in changed:
            changed[keyword] = [change(child) for child in changed[keyword]]
    return changed


def without_prose(schema: Schema) -> Schema:
    """The schema without its descriptions, titles and examples, all the way down."""
    kept = {keyword: value for keyword, value in schema.items() if keyword not in _PROSE}
    return with_children(kept, without_prose)


def references(schema: Schema) -> set[str]:
    """The last part of every `$ref` in the schema."""
    found: set[str] = set()

    def visit(child: Schema) -> Schema:
        if "$ref" in child:
            found.add(str(child["$ref"]).rsplit("/", 1)[-1])
        return with_children(child, visit)

    visit(schema)
    return found


def reference(name: str) -> Schema:
    """A schema that points to a definition of the same file."""
    return {"$ref": f"#/definitions/{name}"}


def share_repeated(root: Schema) -> Schema:
    """Move large schemas that occur in several places to `definitions`, named for where they first occur."""
    uses: Counter[str] = Counter()

    def count(schema: Schema) -> Schema:
        uses[compact(schema)] += 1
        return with_children(schema, count)

    count(root)
    names: dict[str, str] = {}
    shared: dict[str, Schema] = dict(root.get("definitions", {}))

    def share(schema: Schema, parent: str, label: str) -> Schema:
        text = compact(schema)
        # what occurs exactly as often as its parent occurs only inside it
        if len(text) < _SHARED_FROM_BYTES or uses[text] < 2 or uses[text] == uses.get(parent):
            return inside(schema, text, label)
        if text not in names:
            number = sum(name.partition("-")[0] == label for name in shared)
            names[text] = f"{label}-{number + 1}" if number else label
            shared[names[text]] = {}
            shared[names[text]] = inside(schema, text, label)
        return reference(names[text])

    def inside(schema: Schema, text: str, label: str) -> Schema:
        changed = dict(schema)
        if "properties" in changed:
            changed["properties"] = {
                name: share(child, text, name) for name, child in sorted(changed["properties"].items())
            }
        rest = {keyword: value for keyword, value in changed.items() if keyword != "properties"}
        return {**changed, **with_children(rest, lambda child: share(child, text, label))}

    top = {keyword: value for keyword, value in root.items() if keyword != "definitions"}
    body = inside(top, "", "root")
    return {**body, "definitions": shared} if shared else body


def compact(value: object) -> str:
    """The shortest JSON of a value, keys sorted."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def file_bytes(schema: Schema) -> bytes:
    """A schema as the file that holds it: what fits on a line stands on one, so that changes read well."""
    return (_lines(schema, "", 0) + "\n").encode()


def _lines(value: object, prefix: str, depth: int) -> str:
    text = prefix + compact(value)
    if len(text) + depth <= _LINE or not isinstance(value, dict | list) or not value:
        return " " * depth + text
    if isinstance(value, dict):
        parts = [_lines(child, f"{json.dumps(key)}:", depth + 1) for key, child in sorted(value.items())]
        opening, closing = "{", "}"
    else:
        parts = [_lines(child, "", depth + 1) for child in value]
        opening, closing = "[", "]"
    return "\n".join([" " * depth + prefix + opening, ",\n".join(parts), " " * depth + closing])
