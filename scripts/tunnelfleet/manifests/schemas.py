"""Check manifests offline against the JSON schemas of schemas/: unknown, missing and wrong fields."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from tunnelfleet.manifests.schema_problems import Detail, details, repeated_item

# The oldest and the newest supported minor release of Kubernetes. A manifest must pass under both.
# 1.30: the oldest that Crusoe Managed Kubernetes documents (Cluster Details, Version Support). Its clusters
# are upgraded only when their owner asks, so they are still there. 1.37: the newest release.
KUBERNETES_MINORS = ("1.30", "1.37")

_KUBERNETES_GROUPS = frozenset(
    {"", "apps", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "scheduling.k8s.io"}
)
_KUSTOMIZE_GROUP = "kustomize.config.k8s.io"
_API_VERSION = re.compile(r"(?:([a-z0-9]+(?:[.-][a-z0-9]+)*)/)?(v[0-9]+(?:(?:alpha|beta)[0-9]+)?)")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_CATALOGUE = "scripts/tunnelfleet/manifests/vendor/catalogue.py"


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """One thing in a manifest that a schema refuses.

    `kubernetes` is the minor release that refuses it ("1.30"), or "" where every supported one does. `path`
    leads from the manifest to the value; the last step of a missing or unknown field is its name. `message`
    starts with that path as a person would write it. `hint` may be empty.
    """

    kubernetes: str
    path: tuple[str | int, ...]
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


def schema_paths(api_version: str, kind: str) -> tuple[str, ...]:
    """Where the schemas of a kind are, below schemas/: one per supported minor of Kubernetes' own, else one.

    Empty where the names cannot be those of a kind. The files need not exist.
    """
    parts = _API_VERSION.fullmatch(api_version)
    if parts is None or _KIND.fullmatch(kind) is None:
        return ()
    group, version = parts[1] or "", parts[2]
    if group in _KUBERNETES_GROUPS:
        name = "-".join(part for part in (kind.lower(), group.partition(".")[0], version) if part)
        return tuple(f"kubernetes/v{minor}/{name}.json" for minor in KUBERNETES_MINORS)
    folder = "kustomize" if group == _KUSTOMIZE_GROUP else f"crds/{group}"
    return (f"{folder}/{kind.lower()}-{version}.json",)


class ManifestSchemas:
    """The schemas of a repository, each read and compiled when it is first needed.

    `root` is the folder that holds schemas/. `manifest_schemas` shares one between the callers of a process.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "schemas"
        self._kinds: dict[tuple[str, str], tuple[_KindSchema, ...]] = {}

    def validate(self, manifest: Mapping[str, Any]) -> list[SchemaProblem]:
        """Everything that is wrong with a manifest, sorted by place; empty where it is well.

        A manifest that SOPS encrypted is checked as it will be after decryption. A kind without a schema is a
        problem too. Never raises on a bad manifest; OSError or ValueError where schemas/ itself is damaged.
        """
        for field in ("apiVersion", "kind"):
            if problem := _unidentified(manifest, field):
                return [problem]
        api_version, kind = manifest["apiVersion"], manifest["kind"]
        schemas = self._schemas_of(api_version, kind)
        if not schemas:
            return [self._unknown_kind(api_version, kind)]
        plain = _decrypted_shape(manifest) if "sops" in manifest else manifest
        instance = plain if isinstance(plain, dict) else dict(plain)
        return _merge([(schema.minor, schema.details(instance)) for schema in schemas], len(schemas))

    def _schemas_of(self, api_version: str, kind: str) -> tuple[_KindSchema, ...]:
        known = self._kinds.get((api_version, kind))
        if known is None:
            paths = [self._folder / path for path in schema_paths(api_version, kind)]
            known = tuple(_KindSchema(path) for path in paths if path.is_file())
            self._kinds[api_version, kind] = known
        return known

    def _unknown_kind(self, api_version: str, kind: str) -> SchemaProblem:
        elsewhere = sorted(
            {
                schema["properties"]["apiVersion"]["enum"][0]
                for path in self._folder.rglob(f"{kind.lower()}-*.json")
                if "properties" in (schema := json.loads(path.read_bytes()))
                and kind in schema["properties"].get("kind", {}).get("enum", ())
            }
            if _KIND.fullmatch(kind)
            else ()
        )
        hint = (
            f"{kind} is known in {' and '.join(elsewhere)}"
            if elsewhere
            else f"if the kind is right, add it to {_CATALOGUE} and run make vendor-schemas"
        )
        return SchemaProblem("", ("kind",), f"kind: no schema for kind {kind} of {api_version}", hint)


@lru_cache(maxsize=4)
def manifest_schemas(root: Path) -> ManifestSchemas:
    """The schemas of the repository at `root`, compiled once per process."""
    return ManifestSchemas(root)


class _KindSchema:
    """One schema file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        release = path.parent.name
        # null means "not set" to Kubernetes' own kinds; custom resources refuse it, but for their metadata
        self._nulls_anywhere = path.parts[-3] != "crds"
        self.minor = release.removeprefix("v") if path.parts[-3] == "kubernetes" else ""

    @cached_property
    def _schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = json.loads(self._path.read_bytes())
        return schema

    @cached_property
    def _validator(self) -> jsonschema_rs.Draft7Validator:
        return jsonschema_rs.Draft7Validator(
            self._schema,
            validate_formats=True,
            formats={"cidr": _is_cidr},
            keywords={"x-kubernetes-list-map-keys": _DistinctItems},
            pattern_options=jsonschema_rs.RegexOptions(),
            offline=True,
        )

    def details(self, manifest: dict[str, Any]) -> list[Detail]:
        """What this schema refuses in a manifest."""
        # ValueError: a date, bytes or a key that is no string, none of which JSON has
        with suppress(ValueError):
            if self._validator.is_valid(manifest):
                return []
        plain = _as_json(manifest)
        plain = _without_nulls(plain) if self._nulls_anywhere else _without_metadata_nulls(plain)
        return list(details(self._validator.iter_errors(plain), self._schema, plain))


class _DistinctItems:
    """The keyword x-kubernetes-list-map-keys: no two items of a list share the values of these keys."""

    def __init__(self, parent_schema: dict[str, Any], value: Any, schema_path: list[str | int]) -> None:
        self._keys = tuple(value)

    def validate(self, instance: Any) -> None:
        if repeated_item(instance, self._keys) is not None:
            raise ValueError("repeated")


def _merge(found: list[tuple[str, list[Detail]]], schemas: int) -> list[SchemaProblem]:
    """What each release refuses as one list; what all refuse is said once, in the newest one's words."""
    by_place: dict[tuple[tuple[str | int, ...], str], list[tuple[str, Detail]]] = {}
    for minor, problems in found:
        for problem in problems:
            by_place.setdefault((problem.path, problem.keyword), []).append((minor, problem))
    refusing: dict[tuple[str | int, ...], set[str]] = {}
    for (path, _), refusals in by_place.items():
        refusing.setdefault(path, set()).update(minor for minor, _ in refusals)
    merged = []
    for (path, _), refusals in by_place.items():
        minor, detail = refusals[-1]
        place = f"{path_text(path)}: " if path else ""
        if len({minor for minor, _ in refusals}) == schemas:
            merged.append(SchemaProblem("", path, place + detail.message, detail.hint))
        else:
            message = f"{place}{detail.message} in Kubernetes {minor}"
            hint = detail.hint if len(refusing[path]) == schemas else _release_hint(minor)
            merged.append(SchemaProblem(minor, path, message, hint))
    return sorted(merged, key=_order)


def _release_hint(minor: str) -> str:
    oldest, newest = KUBERNETES_MINORS
    if minor == oldest:
        return f"Kubernetes {newest} takes it, but clusters with {oldest} are supported too: do without it"
    return f"Kubernetes {oldest} takes it, {newest} no longer does: do without it"


def path_text(path: tuple[str | int, ...]) -> str:
    """A path as a person writes it: spec.containers[0].name; names with dots or slashes stand in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def _order(problem: SchemaProblem) -> tuple[object, ...]:
    places = tuple((0, step, "") if isinstance(step, int) else (1, 0, step) for step in problem.path)
    return (places, problem.message, problem.kubernetes)


def _unidentified(manifest: Mapping[str, Any], field: str) -> SchemaProblem | None:
    """The problem of a manifest whose apiVersion or kind says nothing."""
    value = manifest.get(field)
    if isinstance(value, str) and value.startswith("ENC["):
        hint = "let SOPS encrypt the values only: encrypted_regex: ^(data|stringData)$"
        return SchemaProblem("", (field,), f"{field}: encrypted, so nothing can read what this is", hint)
    if isinstance(value, str) and value:
        return None
    what = "missing" if value is None else "not a name"
    hint = "every manifest says its apiVersion and kind, such as apps/v1 and Deployment"
    return SchemaProblem("", (field,), f"{field}: {what}", hint)


def _decrypted_shape(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without SOPS' own block, its encrypted values replaced by ones that any field takes."""
    shape = {key: value for key, value in manifest.items() if key != "sops"}
    for field in ("data", "stringData"):
        if isinstance(values := shape.get(field), Mapping):
            shape[field] = {
                key: "" if isinstance(value, str) and value.startswith("ENC[") else value
                for key, value in values.items()
            }
    return shape


def _without_nulls(value: Any) -> Any:
    """A value without the fields that are null; items of lists stay."""
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [_without_nulls(child) for child in value]
    return value


def _without_metadata_nulls(manifest: dict[str, Any]) -> dict[str, Any]:
    """A custom resource without the fields of its metadata that are null."""
    if isinstance(manifest.get("metadata"), dict):
        return {**manifest, "metadata": _without_nulls(manifest["metadata"])}
    return manifest


def _as_json(value: Any) -> Any:
    """A value that YAML gave, as the JSON that reaches the API server."""
    if isinstance(value, Mapping):
        return {_key(key): _as_json(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(child) for child in value]
    if isinstance(value, date):
        text = value.isoformat()
        return text + "Z" if "T" in text and "+" not in text else text
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _key(key: object) -> str:
    return json.dumps(key) if isinstance(key, bool | int | float) else str(key)


def _is_cidr(value: str) -> bool:
    """Whether a string is an address with a prefix length, as the format `cidr` of a CRD asks."""
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        return False
    return "/" in value and value.rpartition("/")[2].isdigit()
