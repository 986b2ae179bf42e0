"""The schemas are made from public definitions: what is kept, what is closed, what is shared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelfleet.manifests.schemas import KUBERNETES_MINORS
from tunnelfleet.manifests.vendor.crds import crd_schema
from tunnelfleet.manifests.vendor.golang import Field, read_types
from tunnelfleet.manifests.vendor.kubernetes import kind_schema, kubernetes_definitions
from tunnelfleet.manifests.vendor.limits import FIELD_LIMITS
from tunnelfleet.manifests.vendor.schema import Schema, compact, file_bytes, share_repeated, without_prose

ROOT = Path(__file__).resolve().parents[2]
GO = """
// Policy says when.
// +enum
type Policy string

type Kind string

const (
\t// Always is the default.
\tAlways Policy = "Always"
\tNever  Policy = "Never"
\tOther  Kind   = "Other"
)

type Container struct {
\tmeta.TypeMeta `json:",inline"`
\t// Name is a name.
\tName string `json:"name" protobuf:"bytes,1,opt,name=name"`
\tPolicies []v1.Policy `json:"policies,omitempty"`
\tPolicy *Policy `json:"policy,omitempty"`
\thidden string
\tSkipped string `json:"-"`
}
"""
OBJECT_META: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "creationTimestamp": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Time"},
    },
}


def definitions() -> dict[str, Schema]:
    """The smallest set of published definitions that every limit finds its field in."""
    published: dict[str, Any] = {
        "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": OBJECT_META,
        "io.k8s.apimachinery.pkg.apis.meta.v1.Time": {"type": "string", "format": "date-time"},
        "io.k8s.api.core.v1.Gadget": {
            "description": "A gadget.",
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
                "description": {"type": "string", "description": "A field of this name."},
                "size": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity", "description": "x"},
                "port": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
                "count": {"type": "integer", "format": "int32"},
                "blob": {"type": "string", "format": "byte"},
                "policy": {"type": "string"},
                "policies": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "items": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
                "status": {"$ref": "#/definitions/io.k8s.api.core.v1.GadgetStatus"},
            },
        },
        "io.k8s.api.core.v1.GadgetStatus": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
    }
    for name, field in FIELD_LIMITS:
        prefix = "io.k8s.apimachinery.pkg.apis." if name.startswith("meta.") else "io.k8s.api."
        definition = published.setdefault(prefix + name, {"type": "object", "properties": {}})
        definition["properties"].setdefault(field, {"type": "string"})
    types = read_types([GO.replace("type Container struct", "type Gadget struct")])
    return kubernetes_definitions(published, {"core/v1": types})


def gadget() -> Schema:
    return kind_schema("v1", "Gadget", definitions())


class TestGo:
    def test_structs_give_the_names_that_json_has(self) -> None:
        assert read_types([GO]).structs["Container"] == (
            Field("", "meta.TypeMeta"),
            Field("name", "string"),
            Field("policies", "[]v1.Policy"),
            Field("policy", "*Policy"),
        )

    def test_a_type_is_known_without_its_package_pointer_and_slice(self) -> None:
        assert [field.element for field in read_types([GO]).structs["Container"]] == [
            "TypeMeta",
            "string",
            "Policy",
            "Policy",
        ]

    def test_only_marked_types_are_enumerations(self) -> None:
        assert read_types([GO]).enums == {"Policy": ("Always", "Never")}


class TestKubernetes:
    def test_unknown_fields_are_refused(self) -> None:
        assert gadget()["additionalProperties"] is False

    def test_only_the_definitions_in_use_come_along(self) -> None:
        assert gadget()["definitions"].keys() == {
            "metadata",
            "meta.v1.Time",
            "api.resource.Quantity",
            "util.intstr.IntOrString",
        }

    def test_an_object_needs_its_identity(self) -> None:
        schema = gadget()

        assert schema["required"] == ["apiVersion", "kind", "metadata"]
        assert schema["properties"]["apiVersion"] == {"type": "string", "enum": ["v1"]}
        assert schema["definitions"]["metadata"]["required"] == ["name"]

    @pytest.mark.parametrize(
        ("field", "value", "fits"),
        [
            ("description", "a field named so stays", True),
            ("size", "64Mi", True),
            ("size", 0.5, True),
            ("size", "64 Mi", False),
            ("port", "http", True),
            ("port", 80, True),
            ("port", 80.5, False),
            ("count", 2**31, False),
            ("blob", "AA==", True),
            ("blob", "AA=", False),
            ("policy", "Always", True),
            ("policy", "", True),
            ("policy", "always", False),
            ("policies", ["Always", "Never"], True),
            ("policies", ["Always", "Always"], False),
            ("policies", ["always"], False),
            ("status", {"anything": 1}, True),
        ],
    )
    def test_the_rules_of_a_field_survive(self, field: str, value: object, fits: bool) -> None:
        manifest = {"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "g"}, field: value}

        assert jsonschema_rs.Draft7Validator(gadget()).is_valid(manifest) is fits

    def test_the_keys_of_a_list_are_kept_for_the_check_of_repeated_items(self) -> None:
        assert gadget()["properties"]["items"]["x-kubernetes-list-map-keys"] == ["name"]


def crd(spec: Schema) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"metadata": {"type": "object"}, "spec": spec}}
    return {
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org",
            "names": {"kind": "Widget"},
            "versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}],
        },
    }


def takes(spec_schema: Schema, spec: object) -> bool:
    """Whether a custom resource with this schema of its spec takes a spec."""
    schema = crd_schema(crd(spec_schema), "v1", definitions())
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True).is_valid(widget)


STRING: Schema = {"type": "string"}
AB: Schema = {"type": "object", "properties": {"a": STRING, "b": STRING}}


class TestCustomResources:
    @pytest.mark.parametrize(
        ("schema", "spec", "fits"),
        [
            ({"type": "object", "properties": {"a": STRING}}, {"b": "x"}, False),
            ({"type": "object"}, {"b": "x"}, False),
            ({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, {"b": "x"}, True),
            ({"x-kubernetes-preserve-unknown-fields": True}, [1], True),
            ({"type": "object", "additionalProperties": STRING}, {"b": "x"}, True),
            ({"type": "object", "additionalProperties": STRING}, {"b": 1}, False),
            ({"anyOf": [{"type": "integer"}, STRING], "x-kubernetes-int-or-string": True}, "80", True),
            ({"anyOf": [{"type": "integer"}, STRING], "x-kubernetes-int-or-string": True}, 0.5, False),
            ({"type": "string", "nullable": True}, None, True),
            ({"type": "string"}, None, False),
            ({"type": "object", "properties": {"a": STRING}, "required": ["a"]}, {}, False),
            ({"type": "object", "properties": {"a": {**STRING, "default": "x"}}, "required": ["a"]}, {}, True),
            ({"type": "string", "pattern": "^(?i)(abort|warn)$"}, "WARN", True),
            ({"type": "string", "pattern": "^(?i)(abort|warn)$"}, "warning", False),
            ({"type": "integer", "format": "int32"}, 2**31, False),
            ({"type": "integer", "format": "int32", "maximum": 5}, 6, False),
            ({**AB, "oneOf": [{"required": ["a"]}]}, {"b": "x"}, False),
            ({**AB, "oneOf": [{"required": ["a"]}]}, {"a": "x"}, True),
            ({**AB, "anyOf": [{"properties": {"a": {"minLength": 2}}}]}, {"a": "x"}, False),
        ],
    )  # fmt: skip
    def test_a_spec_is_taken_as_the_api_server_takes_it(self, schema: Schema, spec: object, fits: bool) -> None:
        assert takes(schema, spec) is fits

    def test_a_version_that_is_not_there_is_said(self) -> None:
        with pytest.raises(LookupError, match=r"widgets\.example\.org has no version v2"):
            crd_schema(crd({"type": "object"}), "v2", definitions())

    def test_a_pattern_that_cannot_be_rewritten_stops_the_maintainer(self) -> None:
        with pytest.raises(ValueError, match="cannot rewrite"):
            takes({"type": "string", "pattern": "(?i)[a-z]"}, "x")


schemas = st.recursive(
    st.sampled_from([STRING, {"type": "integer", "minimum": 1}, {"type": "boolean"}]),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(
            lambda properties: {"type": "object", "properties": properties, "additionalProperties": False},
            st.dictionaries(st.sampled_from(["alpha", "beta", "gamma", "delta"]), inner, min_size=1),
        )
    ),
    max_leaves=30,
)


def expanded(schema: Any, definitions: dict[str, Schema]) -> Any:
    """A schema with every reference replaced by what it refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return expanded(definitions[schema["$ref"].removeprefix("#/definitions/")], definitions)
        return {key: expanded(value, definitions) for key, value in schema.items() if key != "definitions"}
    return [expanded(value, definitions) for value in schema] if isinstance(schema, list) else schema


@given(one=schemas, two=schemas)
def test_sharing_what_repeats_changes_no_meaning_and_never_grows_the_file(one: Schema, two: Schema) -> None:
    root = {"type": "object", "properties": {"a": one, "b": two, "c": {"type": "array", "items": one}}}

    shared = share_repeated(root)

    assert expanded(shared, shared.get("definitions", {})) == root
    assert len(compact(shared)) <= len(compact(root)) + len('"definitions":{},')


@given(schema=schemas)
def test_the_bytes_of_a_file_are_its_schema_and_always_the_same(schema: Schema) -> None:
    content = file_bytes(schema)

    assert json.loads(content) == schema
    assert file_bytes(json.loads(content)) == content


def test_prose_goes_but_a_field_of_that_name_stays() -> None:
    schema = {"description": "x", "properties": {"description": {"type": "string", "title": "y"}}}

    assert without_prose(schema) == {"properties": {"description": {"type": "string"}}}


class TestVendoredFiles:
    FILES = sorted((ROOT / "schemas").rglob("*-v*.json"))

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_is_a_valid_schema_that_stands_alone(self, path: Path) -> None:
        schema = json.loads(path.read_text())

        jsonschema_rs.Draft7Validator(schema, offline=True)

        for node in nodes(schema):
            if "$ref" in node:
                assert node.keys() == {"$ref"}
                assert node["$ref"].removeprefix("#/definitions/") in schema["definitions"]

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_carries_no_prose(self, path: Path) -> None:
        for node in nodes(json.loads(path.read_text())):
            assert not {"description", "title", "example", "$id"} & node.keys()

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_leaves_no_object_open_but_those_that_hold_anything(self, path: Path) -> None:
        schema = json.loads(path.read_text())
        opened = [node for node in nodes(schema) if node.get("type") == "object" and "additionalProperties" not in node]

        # the status, which an apply never changes, and managedFields
        assert all(node == {"type": "object"} for node in opened)
        assert len(opened) <= 2

    def test_a_list_of_them_stands_beside_them(self) -> None:
        readme = (ROOT / "schemas" / "README.md").read_text()

        for path in self.FILES:
            assert f"- [{path.relative_to(ROOT / 'schemas').as_posix()}](" in readme
        for minor in KUBERNETES_MINORS:
            assert minor in readme

    def test_both_releases_hold_the_same_kinds(self) -> None:
        oldest, newest = (
            {path.name for path in (ROOT / "schemas" / "kubernetes" / f"v{minor}").iterdir()}
            for minor in KUBERNETES_MINORS
        )

        assert oldest == newest

    def test_sarif_takes_a_minimal_log_and_refuses_another_version(self) -> None:
        sarif = jsonschema_rs.Draft7Validator(json.loads((ROOT / "schemas/sarif-2.1.0.json").read_text()), offline=True)
        log: dict[str, Any] = {
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": {"name": "tunnelfleet"}},
                    "results": [{"level": "error", "message": {"text": "x"}}],
                }
            ],
        }

        assert sarif.is_valid(log)
        assert not sarif.is_valid(log | {"version": "2.2.0"})


def nodes(schema: object) -> Iterator[dict[str, Any]]:
    """Every schema inside a schema, itself included."""
    if isinstance(schema, dict):
        yield schema
        for keyword, value in schema.items():
            if keyword in {"properties", "definitions"}:
                for child in value.values():
                    yield from nodes(child)
            elif keyword in {"allOf", "anyOf", "oneOf"}:
                for child in value:
                    yield from nodes(child)
            elif keyword in {"items", "additionalProperties", "propertyNames", "not"}:
                yield from nodes(value)
