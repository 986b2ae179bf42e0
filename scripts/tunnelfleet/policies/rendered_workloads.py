"""Policies on the rendered workloads: what a pod is, where it runs and what it may do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tunnelfleet.findings import Location
from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.manifests.origin import origin
from tunnelfleet.manifests.rendered import Manifest, RenderedCluster
from tunnelfleet.manifests.schemas import manifest_schemas
from tunnelfleet.policies.privileges import refused_privileges
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy

WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod", "ReplicaSet")
_POD: YamlPath = ("spec", "template", "spec")
_PINNED = re.compile(r"(?P<name>[^@\s]+):(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127})@sha256:[0-9a-f]{64}")


def workloads(rendered: RenderedCluster) -> Iterator[tuple[Manifest, Mapping[str, Any]]]:
    """The objects that start pods, each with its pod's spec."""
    for manifest in rendered.manifests:
        if manifest.kind in WORKLOADS:
            yield manifest, _at(manifest.data, _POD) or {}


def containers(pod: Mapping[str, Any]) -> Iterator[tuple[YamlPath, Mapping[str, Any]]]:
    """The containers of a pod, each with its path within the manifest."""
    for section in ("initContainers", "containers"):
        for number, container in enumerate(pod.get(section) or []):
            yield (*_POD, section, number), container


def _at(data: Any, path: YamlPath) -> Any:
    for step in path:
        if not isinstance(data, Mapping) or step not in data:
            return None
        data = data[step]
    return data


def _problem(
    rendered: RenderedCluster, manifest: Manifest, path: YamlPath, message: str, hint: str = ""
) -> LocatedProblem:
    cluster = rendered.loaded.folder
    place: Location = origin(rendered.root, cluster, manifest, path)
    return LocatedProblem(place, f"{manifest.kind} {manifest.name}: {message}", hint, cluster=cluster)


@policy(
    "manifest-schema-valid",
    Scope.RENDERED,
    asks="Every rendered object fits the schema of its kind, for the oldest and the newest Kubernetes supported.",
    why="The API server refuses or silently drops what does not fit, and Flux finds that out only after the merge.",
    failing="spec: {template: {spec: {hostNetwrok: true}}}",
    passing="spec: {template: {spec: {hostNetwork: true}}}",
)
def manifest_schema_valid(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    schemas = manifest_schemas(rendered.root)
    for manifest in rendered.manifests:
        for problem in schemas.validate(manifest.data):
            release = f" (Kubernetes {problem.kubernetes})" if problem.kubernetes else ""
            yield _problem(rendered, manifest, problem.path, f"{problem.message}{release}", problem.hint)
    for document in rendered.flux:
        if isinstance(document.data, dict):
            for problem in schemas.validate(document.data):
                place = document.locate(problem.path)
                yield LocatedProblem(place, problem.message, problem.hint, cluster=rendered.loaded.folder)


@policy(
    "images-pinned",
    Scope.RENDERED,
    asks="Every image has a tag, for people, and a digest, for machines.",
    why="A tag can be moved: two nodes would run different programs under one name, and nobody reviewed either.",
    failing="image: registry.example.com/tunnelfleet:latest",
    passing="image: registry.example.com/tunnelfleet:1.4.0@sha256:<64 hexadecimal digits>",
)
def images_pinned(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    for manifest, pod in workloads(rendered):
        for path, container in containers(pod):
            image = str(container.get("image", ""))
            pinned = _PINNED.fullmatch(image)
            if pinned is None or pinned["tag"] == "latest":
                message = f"the image of container {container.get('name')} is `{image}`, not pinned by tag and digest"
                hint = "set newTag and digest in base/image/kustomization.yaml"
                yield _problem(rendered, manifest, (*path, "image"), message, hint)


def _node_terms(pod: Mapping[str, Any]) -> set[tuple[str, str, tuple[str, ...]]]:
    """What the pod asks of its node's name: (field or label, operator, values); every term must hold."""
    required = _at(pod, ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"))
    terms = required.get("nodeSelectorTerms") if isinstance(required, Mapping) else None
    # Terms are alternatives: with two of them neither is certain.
    if not isinstance(terms, list) or len(terms) != 1:
        return set()
    return {
        (str(item.get("key")), str(item.get("operator")), tuple(item.get("values") or ()))
        for item in terms[0].get("matchFields") or []
    }


@policy(
    "gateways-pinned-to-distinct-nodes",
    Scope.RENDERED,
    asks="Each gateway's Deployment is one pod on exactly its node, replaced and never doubled; its routes run there "
    "as reflector, and everywhere else as client.",
    why="The remote site knows the node's address. Two pods of a gateway at once would fight over IKE's ports and "
    "the network namespace; two gateways on one node are no redundancy.",
    failing="spec: {replicas: 2, strategy: {type: RollingUpdate}}",
    passing="spec: {replicas: 1, strategy: {type: Recreate}}",
)
def gateways_pinned_to_distinct_nodes(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    found = {(manifest.kind, manifest.name): (manifest, pod) for manifest, pod in workloads(rendered)}
    gateways = [planned.gateway for planned in rendered.topology.gateways]
    affinity: YamlPath = (*_POD, "affinity")
    for gateway in gateways:
        exactly = {("metadata.name", "In", (gateway.node,))}
        for kind, name in (
            ("Deployment", f"ipsec-tunnel-{gateway.name}"),
            ("DaemonSet", f"ipsec-routes-{gateway.name}"),
        ):
            if (kind, name) not in found:
                yield _missing(rendered, kind, name)
                continue
            manifest, pod = found.pop((kind, name))
            if _node_terms(pod) != exactly:
                yield _problem(rendered, manifest, affinity, f"not pinned to node {gateway.node}", _REGENERATE)
            if kind == "Deployment":
                yield from _one_at_a_time(rendered, manifest)
    if ("DaemonSet", "ipsec-routes-nodes") not in found:
        yield _missing(rendered, "DaemonSet", "ipsec-routes-nodes")
        return
    manifest, pod = found.pop(("DaemonSet", "ipsec-routes-nodes"))
    if _node_terms(pod) != {("metadata.name", "NotIn", (gateway.node,)) for gateway in gateways}:
        yield _problem(rendered, manifest, affinity, "does not leave out exactly the gateways' nodes", _REGENERATE)
    for manifest, _ in found.values():
        yield _problem(rendered, manifest, (), "belongs to no gateway of the inventory", _REGENERATE)


_REGENERATE = "run `tunnelfleet generate`; if that does not help, mend base/"


def _missing(rendered: RenderedCluster, kind: str, name: str) -> LocatedProblem:
    cluster = rendered.loaded.folder
    place = Location(f"overlays/{cluster}/kustomization.yaml")
    return LocatedProblem(place, f"{kind} {name} is missing", _REGENERATE, cluster=cluster)


def _one_at_a_time(rendered: RenderedCluster, manifest: Manifest) -> Iterator[LocatedProblem]:
    replicas = _at(manifest.data, ("spec", "replicas"))
    if replicas != 1:
        yield _problem(rendered, manifest, ("spec", "replicas"), f"replicas is {replicas}", "write replicas: 1")
    strategy = _at(manifest.data, ("spec", "strategy", "type"))
    if strategy != "Recreate":
        hint = "write strategy: {type: Recreate}"
        yield _problem(rendered, manifest, ("spec", "strategy", "type"), f"strategy is {strategy}", hint)


@policy(
    "privileges-allow-listed",
    Scope.RENDERED,
    asks="No pod has a privilege, host path, host namespace or capability that is not on the list of this policy.",
    why="These pods run on every node with the host's network: what they do not need is what an intruder gains.",
    failing="securityContext: {privileged: true}",
    passing="securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL], add: [NET_ADMIN]}}",
)
def privileges_allow_listed(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    for manifest, pod in workloads(rendered):
        for refused in refused_privileges(manifest.kind, manifest.name, pod):
            hint = "leave it out; if it is needed, say why in scripts/tunnelfleet/policies/privileges.py"
            yield _problem(rendered, manifest, (*_POD, *refused.path), refused.message, hint)


@policy(
    "probes-and-resources-set",
    Scope.RENDERED,
    asks="Every container is probed for being alive and ready, with a timeout, asks for CPU and memory, and has a "
    "memory limit.",
    why="Without probes a hung daemon counts as running; without requests the pods are the first to be evicted from "
    "a full node, and its routes go with them.",
    failing="name: frr\nresources: {}",
    passing="name: frr\nlivenessProbe: {exec: {command: [probe]}, timeoutSeconds: 5}\n"
    "readinessProbe: {exec: {command: [probe]}, timeoutSeconds: 5}\n"
    "resources: {requests: {cpu: 20m, memory: 64Mi}, limits: {memory: 512Mi}}",
)
def probes_and_resources_set(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    for manifest, pod in workloads(rendered):
        for path, container in containers(pod):
            name = container.get("name")
            probes = () if "initContainers" in path else ("livenessProbe", "readinessProbe")
            for probe in probes:
                if not _at(container, (probe, "timeoutSeconds")):
                    message = f"container {name} has no {probe} with timeoutSeconds"
                    yield _problem(rendered, manifest, (*path, probe), message, f"add {probe} in base/")
            for wanted in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
                if not _at(container, ("resources", *wanted)):
                    message = f"container {name} has no resources.{'.'.join(wanted)}"
                    yield _problem(rendered, manifest, (*path, "resources"), message, "set it in base/")


@policy(
    "tolerations-cover-all-nodes",
    Scope.RENDERED,
    asks="Gateways and routes tolerate every taint.",
    why="Nodes with GPUs are tainted, and so is a node under pressure: without the toleration its pods lose the remote "
    "sites, or the gateway its place.",
    failing="tolerations: [{key: nvidia.com/gpu, operator: Exists}]",
    passing="tolerations: [{operator: Exists}]",
)
def tolerations_cover_all_nodes(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    for manifest, pod in workloads(rendered):
        if {"operator": "Exists"} not in (pod.get("tolerations") or []):
            message = "does not tolerate every taint"
            yield _problem(
                rendered, manifest, (*_POD, "tolerations"), message, "write tolerations: [{operator: Exists}]"
            )
