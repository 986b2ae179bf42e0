"""Custom resources: from a CustomResourceDefinition's structural schema to a strict JSON schema.

What the API server would prune is refused, as `fieldValidation: Strict` does; CEL rules are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tunnelfleet.manifests.vendor.kubernetes import format_rules, identity, list_rules, with_definitions
from tunnelfleet.manifests.vendor.schema import Schema, share_repeated, with_children

# fmt: off
_KEPT = frozenset({
    "additionalProperties", "allOf", "anyOf", "enum", "exclusiveMaximum", "exclusiveMinimum", "items",
    "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties",
    "minimum", "multipleOf", "not", "oneOf", "pattern", "properties", "required", "type", "uniqueItems",
})
# fmt: on
_CONDITIONS = ("allOf", "anyOf", "oneOf", "not")


def crd_schema(crd: Mapping[str, Any], version: str, definitions: Mapping[str, Schema]) -> Schema:
    """The schema of one version of a custom resource.

    `definitions` are those of the oldest Kubernetes release, for the metadata.
    Raises LookupError where the definition has no such version.
    """
    found = [entry for entry in crd["spec"]["versions"] if entry["name"] == version]
    if not found:
        raise LookupError(f"{crd['metadata']['name']} has no version {version}")
    kind = crd["spec"]["names"]["kind"]
    root = _structural(found[0]["schema"]["openAPIV3Schema"])
    root["properties"].update(identity(f"{crd['spec']['group']}/{version}", kind))
    root["required"] = sorted({*root.get("required", ()), "apiVersion", "kind", "metadata"})
    if "status" in root["properties"]:
        root["properties"]["status"] = {"type": "object"}
    return share_repeated(with_definitions(root, kind, definitions))


def _structural(schema: Schema) -> Schema:
    """A schema that describes a value: unknown fields are refused unless it says that they are kept."""
    changed = _value_rules(schema)
    if schema.get("x-kubernetes-int-or-string"):
        changed = {key: value for key, value in changed.items() if key not in {"anyOf", "allOf"}}
        changed["type"] = ["string", "integer"]
    keeps_unknown = schema.get("x-kubernetes-preserve-unknown-fields", False)
    if changed.get("type") == "object" and "additionalProperties" not in changed and not keeps_unknown:
        changed["additionalProperties"] = False
    defaulted = {name for name, child in schema.get("properties", {}).items() if "default" in child}
    if required := sorted(set(changed.pop("required", ())) - defaulted):
        changed["required"] = required
    if schema.get("nullable"):
        changed["type"] = [changed["type"], "null"]
    conditions = {key: changed.pop(key) for key in _CONDITIONS if key in changed}
    return {**with_children(changed, _structural), **with_children(conditions, _condition)}


def _condition(schema: Schema) -> Schema:
    """A schema inside allOf, anyOf, oneOf or not: it never says which fields exist."""
    return with_children(_value_rules(schema), _condition)


def _value_rules(schema: Schema) -> Schema:
    """The rules that a schema lays on a value, whatever the value's other fields are."""
    kept = {keyword: value for keyword, value in schema.items() if keyword in _KEPT}
    if "pattern" in kept:
        kept["pattern"] = _portable(kept["pattern"])
    kept.update(list_rules(schema))
    kept.update({key: limit for key, limit in format_rules(schema.get("format")).items() if key not in kept})
    return kept


def _portable(pattern: str) -> str:
    """Go's regular expression as one that JSON schema knows: without the (?i) flag.

    Raises ValueError where the expression is too rich for the simple rewriting done here.
    """
    plain = pattern.replace("(?i)", "", 1)
    if plain == pattern:
        return pattern
    if re.search(r"[\\\[]", plain):
        raise ValueError(f"cannot rewrite the case-insensitive pattern {pattern}")
    return re.sub("[A-Za-z]", lambda letter: f"[{letter[0].upper()}{letter[0].lower()}]", plain)
