"""The examples of policies made into whole inventories, and what the policies say of them.

An example is a piece of cluster.yaml. It is laid over sample.yaml; an example of a fleet policy is laid over
neighbour.yaml, which stands beside an unchanged sample.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tunnelfleet.findings import Finding
from tunnelfleet.inventory.document import parse
from tunnelfleet.inventory.loading import CLUSTERS, INVENTORY, LoadedCluster, validate
from tunnelfleet.policies.registry import Policy, Scope, run_cluster, run_fleet

SAMPLE = "sample.yaml"
NEIGHBOUR = "neighbour.yaml"


@cache
def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def laid_over(below: Any, above: Any) -> Any:
    """`below` changed by `above`: mappings key by key, lists of mappings item by item, anything else replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        kept = {key: value for key, value in below.items() if key not in above}
        return kept | {key: laid_over(below.get(key), value) for key, value in above.items()}
    if _mappings(below) and _mappings(above):
        common = [laid_over(old, new) for old, new in zip(below, above, strict=False)]
        return common + below[len(above) :] + above[len(below) :]
    return above


def _mappings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def findings(policy: Policy, example: str) -> list[Finding]:
    """What all policies but those on what is rendered say of an example of this policy."""
    found: list[Finding] = []
    fleet = []
    for name, change in _inventories(policy, example):
        data = yaml.load(_text(name), yaml.CSafeLoader)
        folder = data["metadata"]["name"]
        text = yaml.dump(laid_over(data, yaml.load(change, yaml.CSafeLoader) or {}), Dumper=yaml.CSafeDumper)
        loaded, problems = _load(folder, text)
        found += problems
        if loaded is not None:
            fleet.append(loaded)
            found += run_cluster(loaded)
    return found + run_fleet(fleet)


def _inventories(policy: Policy, example: str) -> Iterator[tuple[str, str]]:
    if policy.scope is Scope.FLEET:
        yield SAMPLE, ""
        yield NEIGHBOUR, example
    else:
        yield SAMPLE, example


def _load(folder: str, text: str) -> tuple[LoadedCluster | None, list[Finding]]:
    document, found = parse(f"{CLUSTERS}/{folder}/{INVENTORY}", text)
    if document is None:
        return None, found
    cluster, problems = validate(document)
    loaded = LoadedCluster(folder, document, cluster) if cluster else None
    return loaded, [*found, *problems]
