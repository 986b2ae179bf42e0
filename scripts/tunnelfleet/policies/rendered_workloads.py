"""Policies on the rendered workloads: what a pod is, where it runs and what it may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tunnelfleet.findings import Location
from tunnelfleet.generate.files import OVERLAYS
from tunnelfleet.inventory.document import Document, YamlPath
from tunnelfleet.manifests.origin import place_of
from tunnelfleet.manifests.pods import Container, Pod, pods
from tunnelfleet.manifests.rendered import Manifest, RenderedCluster, at, mapping, sequence
from tunnelfleet.manifests.schemas import SchemaProblem, manifest_schemas
from tunnelfleet.policies.faults import Fault, located
from tunnelfleet.policies.privileges import Refused, refused_privileges, refused_rights
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy

# reference, Distribution project: [HOST[:PORT]/]NAME[:TAG][@DIGEST]
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9._/-]+(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
)
_MEND = "mend it there; where the file is generated, run `tunnelfleet generate`"
_REGENERATE = "run `tunnelfleet generate`; if that does not help, mend base/"


@policy(
    "manifest-schema-valid",
    Scope.RENDERED,
    asks="Every rendered object, every Flux object and every Secret fits the schema of its kind, for the oldest and "
    "the newest Kubernetes supported.",
    why="The API server refuses or silently drops what does not fit, and Flux finds that out only after the merge.",
    failing="kind: Deployment\nspec:\n  template:\n    spec: {hostNetwrok: true}",
    passing="kind: Deployment\nspec:\n  template:\n    spec: {hostNetwork: true}",
)
def manifest_schema_valid(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    schemas = manifest_schemas(rendered.root)

    def problems(data: Any) -> list[SchemaProblem]:
        try:
            return schemas.validate(data)
        except RecursionError:
            return [SchemaProblem("", (), "nested too deeply to be a manifest", "write it by hand")]

    yield from located(
        rendered,
        (
            Fault(manifest, problem.path, problem.message, problem.hint or _MEND)
            for manifest in rendered.manifests
            for problem in problems(manifest.data)
        ),
    )
    for document in (*rendered.flux, *rendered.secrets.documents):
        for problem in problems(mapping(document.data)):
            place = place_of(document, problem.path)
            hint = problem.hint or _by_hand(rendered, document)
            yield LocatedProblem(place, problem.message, hint, cluster=rendered.loaded.folder)


def _by_hand(rendered: RenderedCluster, document: Document) -> str:
    generated = document in rendered.flux
    return f"run `tunnelfleet generate {rendered.loaded.folder}`" if generated else f"mend it in {document.file}"


@policy(
    "images-pinned",
    Scope.RENDERED,
    asks="Every image has a tag, for people, and a digest, for machines.",
    why="A tag can be moved: two nodes would run different programs under one name, and nobody reviewed either.",
    failing="kind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n"
    "        - {name: agent, image: 'registry.example.com/tunnelfleet:latest'}",
    passing="kind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n"
    "        - name: agent\n          image: registry.example.com/tunnelfleet:1.4.0@sha256:"
    "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
)
def images_pinned(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    yield from located(
        rendered,
        (
            Fault(pod.manifest, path, f"image `{image}` {problem}", _PIN)
            for pod in pods(rendered.manifests)
            for path, image in _images(pod)
            if (problem := _unpinned(image))
        ),
    )


_PIN = (
    "write NAME:TAG@sha256:DIGEST; the one of this repository has its newTag and digest in "
    "base/image/kustomization.yaml"
)


def _images(pod: Pod) -> Iterator[tuple[YamlPath, Any]]:
    for container in pod.containers:
        yield (*container.path, "image"), container.data.get("image")
    for number, volume in enumerate(sequence(pod.spec.get("volumes"))):
        if "image" in mapping(volume):
            yield (*pod.path, "volumes", number, "image", "reference"), at(volume, ("image", "reference"))


def _unpinned(image: Any) -> str:
    """What an image's name lacks, empty where it is pinned."""
    found = _IMAGE.fullmatch(image) if isinstance(image, str) else None
    if found is None:
        return "is no name of an image"
    if not found["tag"] or found["tag"] == "latest":
        return "has no tag that says which release it is"
    if not found["digest"]:
        return "has no digest"
    return "has a digest that was left free" if len(set(found["digest"])) == 1 else ""


@policy(
    "gateways-pinned-to-distinct-nodes",
    Scope.RENDERED,
    asks="Each gateway's Deployment is one pod on exactly its node, replaced and never doubled; its routes run there "
    "as reflector, and everywhere else as client, and are updated node by node.",
    why="The remote site knows the node's address. Two pods of a gateway at once would fight over IKE's ports and "
    "the network namespace; two gateways on one node are no redundancy; all routes updated at once are an outage.",
    failing="kind: Deployment\nspec:\n  strategy: {type: RollingUpdate}",
    passing="kind: Deployment\nspec:\n  strategy: {type: Recreate}",
)
def gateways_pinned_to_distinct_nodes(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    if rendered.builds:
        found = {str(pod.manifest): pod for pod in pods(rendered.manifests)}
        wanted = dict(_workloads(rendered))
        for name in (name for name in wanted if name not in found):
            yield _missing(rendered, name)
        yield from located(rendered, _placement(found, wanted))


Terms = set[tuple[str, str, tuple[str, ...]]]
"""What a pod asks of its node: (field or label, operator, values); every term must hold."""


def _workloads(rendered: RenderedCluster) -> Iterator[tuple[str, tuple[Terms, str]]]:
    """The workloads that the inventory asks for, and where each must run."""
    nodes = [gateway.node for gateway in rendered.loaded.cluster.spec.gateways]
    for gateway in rendered.loaded.cluster.spec.gateways:
        place: Terms = {("field metadata.name", "In", (gateway.node,))}
        yield f"Deployment ipsec-tunnel-{gateway.name}", (place, f"pinned to node {gateway.node}")
        yield f"DaemonSet ipsec-routes-{gateway.name}", (place, f"pinned to node {gateway.node}")
    elsewhere: Terms = {("field metadata.name", "NotIn", (node,)) for node in nodes}
    yield "DaemonSet ipsec-routes-nodes", (elsewhere, "kept off exactly the gateways' nodes")


def _placement(found: dict[str, Pod], wanted: dict[str, tuple[Terms, str]]) -> Iterator[Fault]:
    for name, pod in found.items():
        if name in wanted:
            terms, words = wanted[name]
            if _node_terms(pod) != terms:
                yield Fault(pod.manifest, (*pod.path, "affinity"), f"not {words}", _REGENERATE)
            if pod.spec.get("nodeName"):
                message = f"set on node {pod.spec['nodeName']} past the scheduler"
                yield Fault(pod.manifest, (*pod.path, "nodeName"), message, "leave nodeName out")
            yield from _replaced(pod)
        elif pod.manifest.name.startswith(("ipsec-tunnel-", "ipsec-routes-")):
            yield Fault(pod.manifest, (), "belongs to no gateway of the inventory", _REGENERATE)


def _node_terms(pod: Pod) -> Terms:
    terms = at(pod.spec, ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"))
    listed = sequence(mapping(terms).get("nodeSelectorTerms"))
    # Terms are alternatives: with two of them neither is certain.
    if len(listed) != 1:
        return set()
    return {
        (
            f"{what} {mapping(item).get('key')}",
            str(mapping(item).get("operator")),
            tuple(map(str, sequence(mapping(item).get("values")))),
        )
        for section, what in (("matchFields", "field"), ("matchExpressions", "label"))
        for item in sequence(mapping(listed[0]).get(section))
    }


def _replaced(pod: Pod) -> Iterator[Fault]:
    """How the pods of a workload are replaced, where that is not as it must be."""
    spec = mapping(pod.manifest.data.get("spec"))
    if pod.manifest.kind == "Deployment":
        if (replicas := spec.get("replicas")) != 1:
            yield Fault(pod.manifest, ("spec", "replicas"), f"replicas is {_shown(replicas)}", "write replicas: 1")
        strategy = at(spec, ("strategy", "type"))
        if strategy != "Recreate":
            message = f"strategy is {_shown(strategy)}: the new pod starts before the old one ends"
            yield Fault(pod.manifest, ("spec", "strategy", "type"), message, "write strategy: {type: Recreate}")
        return
    path: YamlPath = ("spec", "updateStrategy")
    update = mapping(spec.get("updateStrategy"))
    if update.get("type", "RollingUpdate") != "RollingUpdate":
        message = f"updateStrategy is {_shown(update.get('type'))}: nodes keep the old pod"
        yield Fault(pod.manifest, (*path, "type"), message, "write updateStrategy: {type: RollingUpdate}")
    for key, value, lost in (
        ("maxUnavailable", 1, "not one node after the other"),
        ("maxSurge", 0, "two pods on a node at once"),
    ):
        found = at(update, ("rollingUpdate", key))
        if found is not None and found != value:
            message = f"{key} is {_shown(found)}: {lost}"
            yield Fault(pod.manifest, (*path, "rollingUpdate", key), message, f"write {key}: {value}")


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    return f'"{value}"' if isinstance(value, str) and not value.isalpha() else str(value)


def _missing(rendered: RenderedCluster, name: str) -> LocatedProblem:
    cluster = rendered.loaded.folder
    place = Location(f"{OVERLAYS}/{cluster}/kustomization.yaml")
    return LocatedProblem(place, f"{name} is missing", _REGENERATE, cluster=cluster)


@policy(
    "privileges-allow-listed",
    Scope.RENDERED,
    asks="No pod has a privilege, host path, host namespace or capability that is not on the list of this policy, and "
    "no object gives rights in the Kubernetes API.",
    why="These pods run on every node with the host's network: what they do not need is what an intruder gains.",
    failing="kind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n"
    "        - name: agent\n          securityContext: {privileged: true}",
    passing="kind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n"
    "        - name: agent\n          securityContext:\n            allowPrivilegeEscalation: false\n"
    "            capabilities: {drop: [ALL], add: [NET_ADMIN]}",
)
def privileges_allow_listed(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    yield from located(
        rendered,
        (
            Fault(manifest, refused.path, refused.message, refused.instead or _ALLOW)
            for manifest, refused in _refused(rendered)
        ),
    )


_ALLOW = "leave it out; if it is needed, say why in scripts/tunnelfleet/policies/privileges.py"


def _refused(rendered: RenderedCluster) -> Iterator[tuple[Manifest, Refused]]:
    for manifest in rendered.manifests:
        for refused in refused_rights(manifest):
            yield manifest, refused
    for pod in pods(rendered.manifests):
        for refused in refused_privileges(pod):
            yield pod.manifest, refused


@policy(
    "probes-and-resources-set",
    Scope.RENDERED,
    asks="Every container is probed for being alive and ready, with a timeout, asks for CPU and memory, and has a "
    "memory limit; every pod has a priority class.",
    why="Without probes a hung daemon counts as running; without requests and priority the pods are the first to be "
    "evicted from a full node, and its routes go with them.",
    failing="kind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n"
    "        - {name: frr, livenessProbe: null, resources: null}",
    passing="kind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n"
    "        - name: frr\n          livenessProbe: {exec: {command: [probe, alive]}, timeoutSeconds: 5}\n"
    "          readinessProbe: {exec: {command: [probe, ready]}, timeoutSeconds: 5}\n"
    "          resources: {requests: {cpu: 20m, memory: 64Mi}, limits: {memory: 512Mi}}",
)
def probes_and_resources_set(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    yield from located(rendered, (fault for pod in pods(rendered.manifests) for fault in _unset(pod)))


def _unset(pod: Pod) -> Iterator[Fault]:
    hint = "set it in base/"
    if not pod.spec.get("priorityClassName"):
        yield Fault(pod.manifest, (*pod.path, "priorityClassName"), "has no priorityClassName", hint)
    for container in pod.containers:
        for probe in ("livenessProbe", "readinessProbe") if container.stays else ():
            if problem := _probe_problem(container, probe):
                yield Fault(pod.manifest, (*container.path, probe), f"container {container.name} {problem}", hint)
        for wanted in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            if not at(container.data, ("resources", *wanted)):
                message = f"container {container.name} has no resources.{'.'.join(wanted)}"
                yield Fault(pod.manifest, (*container.path, "resources"), message, hint)


def _probe_problem(container: Container, name: str) -> str:
    probe = mapping(container.data.get(name))
    if not probe.keys() & {"exec", "httpGet", "tcpSocket", "grpc"}:
        return f"has no {name}"
    return "" if probe.get("timeoutSeconds") else f"has a {name} without timeoutSeconds"


@policy(
    "tolerations-cover-all-nodes",
    Scope.RENDERED,
    asks="Gateways and routes tolerate every taint and are kept off no node by a label.",
    why="Nodes with GPUs are tainted, and so is a node under pressure: without the toleration its pods lose the remote "
    "sites, or the gateway its place.",
    failing="kind: DaemonSet\nspec:\n  template:\n    spec:\n"
    "      tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]",
    passing="kind: DaemonSet\nspec:\n  template:\n    spec:\n      tolerations: [{operator: Exists}]",
)
def tolerations_cover_all_nodes(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    yield from located(rendered, (fault for pod in pods(rendered.manifests) for fault in _kept_off(pod)))


def _kept_off(pod: Pod) -> Iterator[Fault]:
    if not any(_is_of_everything(mapping(item)) for item in sequence(pod.spec.get("tolerations"))):
        hint = "write tolerations: [{operator: Exists}]"
        yield Fault(pod.manifest, (*pod.path, "tolerations"), "does not tolerate every taint", hint)
    for label, value in mapping(pod.spec.get("nodeSelector")).items():
        if label != "kubernetes.io/os":
            message = f"runs only on nodes with label {label}: {value}"
            yield Fault(pod.manifest, (*pod.path, "nodeSelector", label), message, "leave nodeSelector out")


def _is_of_everything(toleration: Any) -> bool:
    return toleration.get("operator") == "Exists" and not toleration.get("key") and not toleration.get("effect")
