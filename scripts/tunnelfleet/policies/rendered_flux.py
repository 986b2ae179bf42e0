"""Policies on what Flux is told: the generated files, the Flux objects, the Secrets that they bring."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tunnelfleet.findings import Location
from tunnelfleet.generate.flux import FLUX_NAMESPACE
from tunnelfleet.generate.tree import Drift
from tunnelfleet.inventory.document import Document, YamlPath
from tunnelfleet.inventory.loading import CLUSTERS, LoadedCluster
from tunnelfleet.inventory.model import SecretKey
from tunnelfleet.inventory.secrets import SECRETS, Protection
from tunnelfleet.manifests.rendered import RenderedCluster
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy

_DRIFT = {
    Drift.MISSING: ("the generated file is missing", "run `tunnelfleet generate {cluster}`"),
    Drift.CHANGED: (
        "the file differs from what the inventory gives, from this line on",
        "change clusters/{cluster}/cluster.yaml instead and run `tunnelfleet generate {cluster}`",
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
    why="The inventory is what people review; a hand edit would be applied by Flux and lost at the next "
    "generation.",
    failing="overlays/iceland-prod/gateway-a/swanctl.conf   # rekey_time changed by hand",
    passing="clusters/iceland-prod/cluster.yaml             # overrides: {espLifetime: 3600}, then generated",
)
def overlay_matches_inventory(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    cluster = rendered.loaded.folder
    for difference in rendered.differences:
        message, hint = _DRIFT[difference.drift]
        yield LocatedProblem(
            Location(difference.path, difference.line), message, hint.format(cluster=cluster), cluster=cluster
        )


def _kustomizations(rendered: RenderedCluster) -> Iterator[tuple[Document, dict[str, Any]]]:
    for document in rendered.flux:
        data = document.data
        if isinstance(data, dict) and str(data.get("apiVersion", "")).startswith(
            "kustomize.toolkit.fluxcd.io/"
        ):
            yield document, data


def _at(
    rendered: RenderedCluster, document: Document, path: YamlPath, message: str, hint: str
) -> LocatedProblem:
    return LocatedProblem(document.locate(path), message, hint, cluster=rendered.loaded.folder)


@policy(
    "flux-paths-exist",
    Scope.RENDERED,
    asks="Every path that a Flux Kustomization names is a folder of the tree with a kustomization.yaml.",
    why="Flux finds out only after the merge, and then nothing of the Kustomization is applied any more.",
    failing="spec: {path: ./overlays/iceland-pord}",
    passing="spec: {path: ./overlays/iceland-prod}",
)
def flux_paths_exist(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    for document, data in _kustomizations(rendered):
        path = _spec(data).get("path")
        if not isinstance(path, str) or not (rendered.root / path / "kustomization.yaml").is_file():
            yield _at(
                rendered,
                document,
                ("spec", "path"),
                f"{path} has no kustomization.yaml",
                f"run `tunnelfleet generate {rendered.loaded.folder}`",
            )


@policy(
    "flux-prune-and-wait",
    Scope.RENDERED,
    asks="Flux prunes what was removed from Git, waits until what it applied is ready, and is "
    "suspended only where "
    "the inventory says so.",
    why="Without prune a removed tunnel runs on; without wait a broken gateway looks like a "
    "successful rollout, "
    "and dependsOn orders nothing.",
    failing="spec: {prune: false, wait: true}",
    passing="spec: {prune: true, wait: true}",
)
def flux_prune_and_wait(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    suspended = rendered.loaded.cluster.spec.flux.suspend
    wanted = {"prune": True, "wait": True, "suspend": suspended}
    for document, data in _kustomizations(rendered):
        for key, value in wanted.items():
            found = _spec(data).get(key, False)
            if found is not value:
                message = f"spec.{key} is {str(found).lower()}, expected {str(value).lower()}"
                hint = f"run `tunnelfleet generate {rendered.loaded.folder}`"
                yield _at(rendered, document, ("spec", key), message, hint)


def _spec(data: dict[str, Any]) -> dict[str, Any]:
    spec = data.get("spec")
    return spec if isinstance(spec, dict) else {}


@policy(
    "namespace-consistent",
    Scope.RENDERED,
    asks="Everything of the cluster lives in spec.namespace, but for Cilium's settings in "
    "kube-system and Flux's "
    "objects in flux-system.",
    why="A pod finds ConfigMaps and Secrets in its own namespace only, and what lies elsewhere is "
    "not cleaned up "
    "with it.",
    failing="kind: Secret\nmetadata: {name: ipsec-psk, namespace: default}",
    passing="kind: Secret\nmetadata: {name: ipsec-psk, namespace: ipsec-tunnel}",
)
def namespace_consistent(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    cluster = rendered.loaded.folder
    wanted = rendered.topology.cluster.spec.namespace
    for manifest in rendered.manifests:
        expected = _EXPECTED.get(manifest.kind, wanted)
        if manifest.namespace != expected:
            found = manifest.namespace or "none"
            yield LocatedProblem(
                Location(f"overlays/{cluster}/kustomization.yaml"),
                f"{manifest.kind} {manifest.name}: expected namespace {expected or 'none'}, found {found}",
                "leave the namespace to the overlay: take it out of base/",
                cluster=cluster,
            )
    for document in rendered.flux:
        data = document.data if isinstance(document.data, dict) else {}
        metadata = data.get("metadata")
        if isinstance(metadata, dict) and metadata.get("namespace", FLUX_NAMESPACE) != FLUX_NAMESPACE:
            message = f"expected namespace {FLUX_NAMESPACE}, found {metadata.get('namespace')}"
            hint = f"run `tunnelfleet generate {cluster}`"
            yield _at(rendered, document, ("metadata", "namespace"), message, hint)
    for location, namespace in sorted({(e.location, e.namespace) for e in rendered.secrets.entries}, key=str):
        if namespace != wanted:
            message = f"the Secret is in namespace {namespace or '(none)'}, the gateways are in {wanted}"
            yield LocatedProblem(
                location, message, f"write `namespace: {wanted}` in its metadata", cluster=cluster
            )


_EXPECTED: dict[str, str | None] = {
    "CiliumNodeConfig": "kube-system",
    "PriorityClass": None,
    "CiliumCIDRGroup": None,
}


@policy(
    "preshared-keys-provided",
    Scope.RENDERED,
    asks="Each tunnel's key, and each BGP password, is an entry of an encrypted Secret or of an "
    "ExternalSecret; "
    "no two tunnels share a key.",
    why="A gateway without its key never comes up, and one key for two tunnels lets either end pose "
    "as the other.",
    failing="presharedKey: {secretName: ipsec-psk, key: site}   # on both tunnels",
    passing="presharedKey: {secretName: ipsec-psk, key: site-a} # and site-b on the other",
)
def preshared_keys_provided(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    loaded = rendered.loaded
    places: dict[SecretKey, list[Location]] = defaultdict(list)
    for path, secret in _wanted_secrets(loaded):
        location = loaded.locate(*path)
        is_key = path[-1] == "presharedKey"
        if is_key:
            places[secret].append(location)
        entry = rendered.secrets.find(secret)
        if entry is None:
            yield LocatedProblem(
                location,
                f"no Secret provides {secret.secret_name}/{secret.key}",
                f"add it: sops {CLUSTERS}/{loaded.folder}/{SECRETS}/secret-{secret.secret_name}.yaml",
                cluster=loaded.folder,
            )
        elif entry.protection is Protection.NONE:
            yield LocatedProblem(
                location,
                f"{secret.secret_name}/{secret.key} stands in plain text at {entry.location}",
                f"replace it, then encrypt: sops --encrypt --in-place {entry.location.file}",
                (entry.location,),
                loaded.folder,
            )
    for secret, shared in places.items():
        for location in shared[1:]:
            yield LocatedProblem(
                location,
                f"the tunnel shares its key {secret.secret_name}/{secret.key} with the one at {shared[0]}",
                "give each tunnel a key of its own",
                (shared[0],),
                loaded.folder,
            )


def _wanted_secrets(loaded: LoadedCluster) -> Iterator[tuple[YamlPath, SecretKey]]:
    spec = loaded.cluster.spec
    yield ("spec", "bgp", "password"), spec.bgp.password
    for number, remote in enumerate(spec.remotes):
        if remote.bgp_password is not None:
            yield ("spec", "remotes", number, "bgpPassword"), remote.bgp_password
        for index, tunnel in enumerate(remote.tunnels):
            yield ("spec", "remotes", number, "tunnels", index, "presharedKey"), tunnel.preshared_key
