"""kustomize's own two kinds: its Go types as JSON schemas (it reads kustomization.yaml strictly)."""

from __future__ import annotations

from collections.abc import Mapping

from tunnelfleet.manifests.vendor.golang import Types
from tunnelfleet.manifests.vendor.schema import DIALECT, Schema, reference, references

KUSTOMIZE_KINDS: Mapping[str, str] = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Component": "kustomize.config.k8s.io/v1alpha1",
}
_ROOT = "Kustomization"
_SCALARS: Mapping[str, Schema] = {
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "int64": {"type": "integer"},
    "string": {"type": "string"},
    "interface{}": {},
}
# values that kustomize checks in code (api/types: generationbehavior.go, kustomization.go, sortoptions.go)
_VALUES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("GeneratorArgs", "behavior"): ("create", "merge", "replace"),
    ("Kustomization", "buildMetadata"): ("managedByLabel", "originAnnotations", "transformerAnnotations"),
    ("SortOptions", "order"): ("fifo", "legacy"),
    ("HelmChart", "valuesMerge"): ("merge", "override", "replace"),
}


def kustomize_schema(kind: str, types: Types) -> Schema:
    """The schema of kustomization.yaml for `Kustomization` or `Component`."""
    root = _struct(_ROOT, types)
    root["properties"]["apiVersion"] = {"type": "string", "enum": [KUSTOMIZE_KINDS[kind]]}
    root["properties"]["kind"] = {"type": "string", "enum": [kind]}
    root["required"] = ["apiVersion", "kind"]
    definitions: dict[str, Schema] = {}
    waiting = references(root)
    while missing := waiting - definitions.keys():
        for name in missing:
            definitions[name] = _struct(name, types)
            waiting |= references(definitions[name])
    return {"$schema": DIALECT, **root, "definitions": definitions}


def _struct(name: str, types: Types) -> Schema:
    """A struct as an object: no field but its own and those of the structs it inlines."""
    properties: dict[str, Schema] = {}
    for field in types.structs[name]:
        if field.name:
            properties[field.name] = _type(field.type, types)
            if values := _VALUES.get((name, field.name)):
                _element(properties[field.name])["enum"] = sorted(values)
        else:
            properties.update(_struct(field.element, types)["properties"])
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _type(go_type: str, types: Types) -> Schema:
    """A Go type as a schema; named types that are not structs are strings."""
    if go_type.startswith("*"):
        return _type(go_type[1:], types)
    if go_type.startswith("[]"):
        return {"type": "array", "items": _type(go_type[2:], types)}
    if go_type.startswith("map[string]"):
        return {"type": "object", "additionalProperties": _type(go_type.removeprefix("map[string]"), types)}
    if go_type in _SCALARS:
        return dict(_SCALARS[go_type])
    name = go_type.rsplit(".", 1)[-1]
    return reference(name) if name in types.structs else {"type": "string"}


def _element(schema: Schema) -> Schema:
    """The schema of a list's items, or the schema itself."""
    items: Schema = schema.get("items", schema)
    return items
