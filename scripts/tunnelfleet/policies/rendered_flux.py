"""Policies on what Flux is told: the generated files, the Flux objects, the Secrets that they bring."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tunnelfleet.findings import Location
from tunnelfleet.generate.files import OVERLAYS
from tunnelfleet.generate.flux import FLUX_NAMESPACE
from tunnelfleet.generate.tree import Drift
from tunnelfleet.inventory.document import Document, YamlPath, parse
from tunnelfleet.inventory.loading import CLUSTERS
from tunnelfleet.inventory.secrets import SECRETS
from tunnelfleet.manifests.origin import KUSTOMIZATION, place_of, written
from tunnelfleet.manifests.rendered import Manifest, RenderedCluster, mapping, sequence
from tunnelfleet.policies.faults import named
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy

_SEPARATOR = re.compile(r"^---.*$", re.M)
_DRIFT = {
    Drift.MISSING: ("the generated file is missing", "run `tunnelfleet generate {cluster}`"),
    Drift.CHANGED: (
        "the file differs from what the inventory gives, from this line on",
        "run `tunnelfleet generate {cluster}`; what was changed by hand belongs into clusters/{cluster}/cluster.yaml",
    ),
    Drift.STALE: (
        "the inventory does not ask for this generated file any more",
        "run `tunnelfleet generate {cluster}` to remove it",
    ),
    Drift.FOREIGN: (
        "this file was not written by the generator, and stands in its place",
        "move it away or delete it, then run `tunnelfleet generate {cluster}`",
    ),
}


@policy(
    "overlay-matches-inventory",
    Scope.RENDERED,
    asks="Every generated file is, to the byte, what the inventory gives.",
    why="The inventory is what people review; a hand edit would be applied by Flux and lost at the next generation.",
    failing="# overlays/iceland-gcp/gateway-a/swanctl.conf, changed by hand\nreplay_window = 2048",
    passing="# clusters/iceland-gcp/cluster.yaml, changed and then generated\n"
    "spec:\n  remotes:\n    - overrides: {replayWindow: 2048}",
)
def overlay_matches_inventory(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    cluster = rendered.loaded.folder
    for difference in rendered.differences:
        message, hint = _DRIFT[difference.drift]
        yield LocatedProblem(
            Location(difference.path, difference.line), message, hint.format(cluster=cluster), cluster=cluster
        )


@dataclass(frozen=True, slots=True)
class _Kustomization:
    """A Flux Kustomization of the cluster and the file that it stands in."""

    rendered: RenderedCluster
    document: Document
    hint: str = ""

    @property
    def spec(self) -> Mapping[str, Any]:
        return mapping(mapping(self.document.data).get("spec"))

    @property
    def name(self) -> Any:
        return mapping(mapping(self.document.data).get("metadata")).get("name")

    def problem(self, path: YamlPath, message: str) -> LocatedProblem:
        cluster = self.rendered.loaded.folder
        hint = self.hint or f"run `tunnelfleet generate {cluster}`"
        return LocatedProblem(place_of(self.document, path), message, hint, cluster=cluster)


def _kustomizations(rendered: RenderedCluster) -> list[_Kustomization]:
    return [
        _Kustomization(rendered, document)
        for document in rendered.flux
        if str(mapping(document.data).get("apiVersion")).startswith("kustomize.toolkit.fluxcd.io/")
    ]


@policy(
    "flux-paths-exist",
    Scope.RENDERED,
    asks="Every path that a Flux Kustomization names is a folder of this cluster with a kustomization.yaml, and every "
    "Kustomization that it depends on is one of this cluster's.",
    why="Flux finds out only after the merge, and then nothing of the Kustomization is applied any more; with the path "
    "of another cluster it applies that one's gateways.",
    failing="kind: Kustomization\nspec: {path: ./overlays/iceland-pord}",
    passing="kind: Kustomization\nspec: {path: ./overlays/iceland-gcp}",
)
def flux_paths_exist(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    present = _kustomizations(rendered)
    names = {one.name for one in present if isinstance(one.name, str)}
    for one in (*present, *_bootstrapped(rendered)):
        yield from _path_problems(one)
    for one in present:
        for number, needed in enumerate(sequence(one.spec.get("dependsOn"))):
            name = mapping(needed).get("name")
            if not isinstance(name, str) or name not in names:
                yield one.problem(("spec", "dependsOn", number), f"depends on {name}, which this cluster does not have")


def _path_problems(one: _Kustomization) -> Iterator[LocatedProblem]:
    path, cluster = one.spec.get("path"), one.rendered.loaded.folder
    if not isinstance(path, str):
        yield one.problem(("spec", "path"), "spec.path is not set: Flux would apply the whole repository")
    elif not _is_built(one.rendered, path):
        yield one.problem(("spec", "path"), f"{path} is no folder of the tree with a {KUSTOMIZATION}")
    elif PurePosixPath(path).parts[:2] not in ((OVERLAYS, cluster), (CLUSTERS, cluster)):
        yield one.problem(("spec", "path"), f"{path} is no folder of cluster {cluster}")


def _bootstrapped(rendered: RenderedCluster) -> Iterator[_Kustomization]:
    """What `flux bootstrap` wrote of where the cluster begins; in a copied folder that is where the old one does."""
    cluster = rendered.loaded.folder
    file = f"{CLUSTERS}/{cluster}/{FLUX_NAMESPACE}/gotk-sync.yaml"
    try:
        parts = _SEPARATOR.split((rendered.root / file).read_text("utf-8"))
    except (OSError, ValueError):
        return
    above = 0
    for part in parts:
        document, _ = parse(file, "\n" * above + part)
        above += part.count("\n")
        if document is not None and mapping(document.data).get("kind") == "Kustomization":
            yield _Kustomization(rendered, document, f"run: flux bootstrap ... --path={CLUSTERS}/{cluster}")


def _is_built(rendered: RenderedCluster, path: str) -> bool:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\0" in path:
        return False
    return (rendered.root / path / KUSTOMIZATION).is_file()


@policy(
    "flux-prune-and-wait",
    Scope.RENDERED,
    asks="Flux prunes what was removed from Git, waits until what it applied is ready, and is suspended only where the "
    "inventory says so.",
    why="Without prune a removed tunnel runs on; without wait a broken gateway looks like a successful rollout, and "
    "dependsOn orders nothing.",
    failing="kind: Kustomization\nspec: {prune: false, wait: true}",
    passing="kind: Kustomization\nspec: {prune: true, wait: true}",
)
def flux_prune_and_wait(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    wanted = {"prune": True, "wait": True, "suspend": rendered.loaded.cluster.spec.flux.suspend}
    for one in _kustomizations(rendered):
        for key, value in wanted.items():
            found = one.spec.get(key, False)
            if found is not value:
                yield one.problem(("spec", key), f"spec.{key} is {_shown(found)}, expected {_shown(value)}")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


@policy(
    "namespace-consistent",
    Scope.RENDERED,
    asks="Everything of the cluster lives in spec.namespace, but for Cilium's settings in kube-system, Flux's objects "
    "in flux-system, and what has no namespace at all.",
    why="A pod finds ConfigMaps and Secrets in its own namespace only, and what lies elsewhere is not cleaned up with "
    "it.",
    failing="# clusters/iceland-gcp/secrets/secret-ipsec-psk.yaml\nmetadata: {name: ipsec-psk, namespace: default}",
    passing="# clusters/iceland-gcp/secrets/secret-ipsec-psk.yaml\n"
    "metadata: {name: ipsec-psk, namespace: ipsec-tunnel}",
)
def namespace_consistent(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    cluster = rendered.loaded.folder
    wanted = rendered.loaded.cluster.spec.namespace
    elsewhere: dict[tuple[Location, str], list[Manifest]] = defaultdict(list)
    for manifest in rendered.manifests:
        expected = "kube-system" if manifest.kind == "CiliumNodeConfig" else wanted
        if manifest.kind not in _CLUSTERWIDE and manifest.namespace != expected:
            message = f"expected namespace {expected}, found {manifest.namespace or 'none'}"
            elsewhere[_written(rendered, manifest), message].append(manifest)
    for (place, message), manifests in elsewhere.items():
        hint = f"write no namespace in base/, the overlay puts it there; then run `tunnelfleet generate {cluster}`"
        yield LocatedProblem(place, f"{named(manifests)}: {message}", hint, cluster=cluster)
    for document in rendered.flux:
        data = mapping(document.data)
        expected, path = (wanted, "name") if data.get("kind") == "Namespace" else (FLUX_NAMESPACE, "namespace")
        found = mapping(data.get("metadata")).get(path, expected)
        if found != expected:
            message = f"expected namespace {expected}, found {found}"
            hint = f"run `tunnelfleet generate {cluster}`"
            yield LocatedProblem(document.locate(("metadata", path)), message, hint, cluster=cluster)
    for document in rendered.secrets.documents:
        found = mapping(mapping(document.data).get("metadata")).get("namespace")
        if found != wanted:
            place = document.locate(("metadata", "namespace"))
            message = f"the Secret is in namespace {found or '(none)'}, the gateways are in {wanted}"
            hint = f"write `namespace: {wanted}` in its metadata"
            yield LocatedProblem(place, message, hint, cluster=cluster)


_CLUSTERWIDE = frozenset(
    {
        "Namespace",
        "PriorityClass",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "CiliumCIDRGroup",
        "CiliumClusterwideNetworkPolicy",
    }
)
"""Kinds without a namespace: the API server drops one that is given."""


def _written(rendered: RenderedCluster, manifest: Manifest) -> Location:
    place = written(rendered.root, rendered.loaded.folder, manifest, ("metadata", "namespace"))
    return place or Location(f"{OVERLAYS}/{rendered.loaded.folder}/{KUSTOMIZATION}")


def secrets_kustomization(rendered: RenderedCluster) -> tuple[Document, Mapping[str, Any]] | None:
    """The Flux Kustomization that applies the cluster's Secrets, with its spec."""
    folder = f"{CLUSTERS}/{rendered.loaded.folder}/{SECRETS}"
    for one in _kustomizations(rendered):
        path = one.spec.get("path")
        if isinstance(path, str) and PurePosixPath(path) == PurePosixPath(folder):
            return one.document, one.spec
    return None
