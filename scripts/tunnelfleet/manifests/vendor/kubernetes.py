"""Kubernetes' own kinds: from the OpenAPI definitions of one minor release to strict schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunnelfleet.manifests import patterns
from tunnelfleet.manifests.vendor.golang import Types
from tunnelfleet.manifests.vendor.limits import FIELD_LIMITS, INTEGER_LIMITS, name_limits
from tunnelfleet.manifests.vendor.schema import DIALECT, Schema, reference, references, with_children

# the folder of each package in k8s.io/api that declares a supported kind, or a type inside one
API_PACKAGES = ("core/v1", "apps/v1", "networking/v1", "policy/v1", "rbac/v1", "scheduling/v1")
OBJECT_META = "meta.v1.ObjectMeta"
_WITH_SPEC = frozenset({"DaemonSet", "Deployment", "Service"})
_KNOWN_FORMATS = frozenset({"cidr", "date-time", "ipv4", "ipv6"})


def kubernetes_definitions(published: Mapping[str, Any], packages: Mapping[str, Types]) -> dict[str, Schema]:
    """Every definition that Kubernetes publishes, short-named and strict.

    `published` maps the full names (io.k8s.api.core.v1.Container) to their schemas, `packages` the folders
    of k8s.io/api (core/v1) to the Go types, which know the values of enumerations.
    """
    definitions = {_short(name): _strict(schema) for name, schema in published.items()}
    definitions["api.resource.Quantity"] = {"type": ["string", "number"], "pattern": patterns.QUANTITY}
    definitions["util.intstr.IntOrString"] = {"type": ["string", "integer"]}
    for folder, types in packages.items():
        for struct, fields in types.structs.items():
            definition = definitions.get(f"{folder.replace('/', '.')}.{struct}", {})
            for field in fields:
                values = types.enums.get(field.element) or packages["core/v1"].enums.get(field.element)
                if values and field.name in definition.get("properties", {}):
                    required = field.name in definition.get("required", ())
                    _limit_values(definition["properties"][field.name], values, may_be_empty=not required)
    for (name, field_name), limits in FIELD_LIMITS.items():
        limited = definitions[name]["properties"][field_name]
        if "$ref" in limited:
            raise ValueError(f"{name}.{field_name} is a reference, beside which draft-07 ignores limits")
        limited.update(limits)
    return definitions


def kind_schema(api_version: str, kind: str, definitions: Mapping[str, Schema]) -> Schema:
    """The schema of one of Kubernetes' kinds, with the definitions it uses."""
    group, _, version = api_version.rpartition("/")
    definition = definitions[f"{group.partition('.')[0] or 'core'}.{version}.{kind}"]
    properties = {**definition["properties"], **identity(api_version, kind)}
    required = {*definition.get("required", ()), "apiVersion", "kind", "metadata"}
    if kind in _WITH_SPEC:
        required.add("spec")
    root = {**definition, "properties": properties, "required": sorted(required)}
    if "status" in properties:
        # an apply never changes the status
        properties["status"] = {"type": "object"}
    return with_definitions(root, kind, definitions)


def identity(api_version: str, kind: str) -> Schema:
    """The three properties that every object has."""
    return {
        "apiVersion": {"type": "string", "enum": [api_version]},
        "kind": {"type": "string", "enum": [kind]},
        "metadata": reference("metadata"),
    }


def with_definitions(root: Schema, kind: str, definitions: Mapping[str, Schema]) -> Schema:
    """The schema, self-contained: with the metadata of its kind and every definition it refers to."""
    meta = definitions[OBJECT_META]
    named = {**meta["properties"], "name": {**meta["properties"]["name"], **name_limits(kind)}}
    used = {"metadata": {**meta, "properties": named, "required": ["name"]}}
    waiting = references(root) | references(used["metadata"])
    while missing := waiting - used.keys():
        for name in missing:
            used[name] = definitions[name]
            waiting |= references(definitions[name])
    return {"$schema": DIALECT, **root, "definitions": used}


def _short(name: str) -> str:
    """io.k8s.api.core.v1.Container as core.v1.Container."""
    return ".".join(name.split(".")[-3:])


def _strict(schema: Schema) -> Schema:
    """A published schema without prose, closed, with its limits spelled out as JSON schema."""
    if "$ref" in schema:
        return reference(_short(str(schema["$ref"]).rsplit("/", 1)[-1]))
    strict = {
        keyword: value
        for keyword, value in schema.items()
        if keyword in {"additionalProperties", "enum", "items", "properties", "required", "type"}
    }
    if "properties" in strict:
        strict.setdefault("additionalProperties", False)
    strict.update(list_rules(schema))
    strict.update(format_rules(schema.get("format")))
    return with_children(strict, _strict)


def list_rules(schema: Schema) -> Schema:
    """Which items of a list must differ: all of them in a set, those with the same keys in a map."""
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return {"uniqueItems": True}
        case "map":
            return {"x-kubernetes-list-map-keys": sorted(schema["x-kubernetes-list-map-keys"])}
    return {}


def format_rules(name: str | None) -> Schema:
    """What the API server checks of a format."""
    if name == "byte":
        return {"pattern": patterns.BASE64}
    if name in _KNOWN_FORMATS:
        return {"format": name}
    return dict(INTEGER_LIMITS.get(name or "", {}))


def _limit_values(schema: Schema, values: tuple[str, ...], *, may_be_empty: bool) -> None:
    """Write the values of an enumeration into a property, or into the items of one."""
    if schema.get("type") == "array":
        schema["items"]["enum"] = sorted(values)
    elif schema.get("type") == "string":
        # the API server takes an empty optional value as one that is not there
        schema["enum"] = sorted({*values, ""} if may_be_empty else values)
