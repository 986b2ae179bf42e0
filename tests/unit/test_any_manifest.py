"""Whatever kustomize prints, the policies have something to say of it or nothing, and never fall over."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.rendering import rendered
from tunnelfleet.inventory.document import Document
from tunnelfleet.manifests.rendered import Manifest, parse_manifests
from tunnelfleet.policies.registry import Scope, run_located

SCALARS = st.sampled_from([None, True, False, 0, -1, 65536, 1.5, float("inf"), "", "x", "a/b", "\0", "ENC[", "é\n"])
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["", "name", "spec", "items", "key", "data", "type"]), inner, max_size=3)
        | st.dictionaries(st.integers() | st.none(), inner, max_size=2)
    ),
    max_leaves=6,
)
LINES = (
    st.sampled_from(
        [
            "{",
            "}",
            "x {",
            "= y",
            "include z",
            '"',
            "[1,",
            "exit",
            "end",
            "router bgp",
            "router bgp 1 vrf x",
            "route-map",
        ]
    )
    | st.sampled_from(
        [
            "route-map A permit 5",
            "match ip address",
            "neighbor",
            "neighbor 1.2.3.4",
            "no neighbor 1.2.3.4",
            "ip prefix-list",
        ]
    )
    | st.sampled_from(
        ["ip prefix-list A deny", "ip prefix-list REMOTE seq 5 permit 0.0.0.0/0 ge 33 le 1", "bgp listen range"]
    )
)
EVERYTHING = [
    *(manifest.data for manifest in rendered().manifests),
    *(document.data for document in rendered().flux),
    *(document.data for document in rendered().secrets.documents),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values within a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn) -> list[Any]:
    """All objects of the cluster, some of them damaged in one place or in several."""
    objects = list(EVERYTHING)
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(objects) - 1))
        if not isinstance(objects[number], dict):
            continue
        damage = deepcopy(objects[number])
        path = draw(st.sampled_from(places(damage)))
        if not path:
            objects[number] = draw(JUNK)
            continue
        holder = damage
        for step in path[:-1]:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "remove", "repeat"])):
            case "replace" if isinstance(holder[path[-1]], str) and "\n" in holder[path[-1]]:
                lines = holder[path[-1]].split("\n")
                lines.insert(draw(st.integers(0, len(lines))), draw(LINES))
                holder[path[-1]] = "\n".join(lines)
            case "replace":
                holder[path[-1]] = draw(JUNK)
            case "remove":
                del holder[path[-1]]
            case _ if isinstance(holder, list):
                holder.append(deepcopy(holder[path[-1]]))
        objects[number] = damage
    return objects


def with_data(document: Document, data: Any) -> Document:
    return replace(document, data=data)


@given(damaged())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_manifest_makes_a_policy_fall_over(objects: list[Any]) -> None:
    cluster = rendered()
    flux = len(cluster.manifests)
    secrets = flux + len(cluster.flux)
    documents = tuple(map(with_data, cluster.secrets.documents, objects[secrets:]))
    context = replace(
        cluster,
        manifests=tuple(Manifest(data) for data in objects[:flux] if isinstance(data, dict)),
        flux=tuple(map(with_data, cluster.flux, objects[flux:secrets])),
        secrets=replace(cluster.secrets, documents=documents),
    )
    for finding in run_located(Scope.RENDERED, context):
        assert finding.message
        assert finding.hint
        assert finding.location.file
        assert finding.location.line >= 1


def test_what_is_not_damaged_has_no_finding() -> None:
    assert run_located(Scope.RENDERED, rendered()) == []


@given(st.text(st.characters(codec="utf-8"), max_size=200) | JUNK.map(yaml.safe_dump))
def test_any_output_is_parsed_or_refused(text: str) -> None:
    try:
        found = parse_manifests(text.encode())
    except yaml.YAMLError:
        return
    assert all(isinstance(manifest.name, str) and isinstance(manifest.kind, str) for manifest in found)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-13-45", "2026-13-45"),
        ("2026-01-01", "2026-01-01"),
        ("12:30:45", "12:30:45"),
        ("=", "="),
        ("yes", "yes"),
        ("0444", 0o444),
        ("1e3", 1000.0),
        ("~", None),
    ],
)
def test_scalars_are_what_the_api_server_takes_them_for(text: str, value: object) -> None:
    (manifest,) = parse_manifests(f"kind: ConfigMap\nvalue: {text}\n".encode())
    assert manifest.data["value"] == value


def test_what_is_nested_without_end_is_said_to_be() -> None:
    manifests = parse_manifests(b"apiVersion: v1\nkind: ConfigMap\ndata: " + b"[" * 5000 + b"]" * 5000)
    (finding,) = [
        each
        for each in run_located(Scope.RENDERED, replace(rendered(), manifests=(*rendered().manifests, *manifests)))
        if "nested too deeply" in each.message
    ]
    assert finding.policy == "manifest-schema-valid"
