"""Which pods run on which nodes: what the scheduler and the DaemonSet controller would decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .fields import Fields, ManifestError


@dataclass(frozen=True, slots=True)
class Assignment:
    """One pod: the workload that it belongs to, and the node that it runs on."""

    workload: Mapping[str, Any]
    node: str

    @property
    def name(self) -> str:
        """The workload's name, like `ipsec-tunnel-a`."""
        return str(self.workload["metadata"]["name"])


def schedule(objects: Iterable[Mapping[str, Any]], nodes: Mapping[str, Mapping[str, str]]) -> tuple[Assignment, ...]:
    """The pods of all Deployments and DaemonSets among the objects.

    `nodes` gives the labels of each node by its name; `kubernetes.io/hostname` is added where it is missing. Raises
    ManifestError where a replica fits no node, where two pods want one port of a node's network, and for rules that
    the twin does not know.
    """
    labelled = {name: {"kubernetes.io/hostname": name, **labels} for name, labels in nodes.items()}
    found: list[Assignment] = []
    for workload in objects:
        if workload["kind"] not in ("Deployment", "DaemonSet"):
            continue
        fitting = [name for name, labels in labelled.items() if fits(workload, name, labels)]
        if workload["kind"] == "Deployment":
            fitting = _replicas(workload, fitting, found)
        for node in fitting:
            assignment = Assignment(workload, node)
            if clash := _clash(assignment, found):
                raise ManifestError(f"{assignment.name} on {node}: {clash}")
            found.append(assignment)
    return tuple(found)


def fits(workload: Mapping[str, Any], node: str, labels: Mapping[str, str]) -> bool:
    """Whether the workload's nodeSelector and required node affinity allow the node."""
    spec = workload["spec"]["template"]["spec"]
    selector = spec.get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    where = f"{workload['kind']} {workload['metadata']['name']}.affinity"
    with Fields(spec.get("affinity") or {}, where) as affinity:
        # a preference refuses no node
        affinity.only("podAffinity", None)
        _anti_affinity(affinity.object("podAntiAffinity"))
        with affinity.object("nodeAffinity") as rules:
            rules.harmless("preferredDuringSchedulingIgnoredDuringExecution")
            required = rules.object("requiredDuringSchedulingIgnoredDuringExecution")
            with required:
                terms = required.objects("nodeSelectorTerms")
    return not terms or any([_term(term, node, labels) for term in terms])


def _anti_affinity(rules: Fields) -> None:
    with rules:
        rules.harmless("preferredDuringSchedulingIgnoredDuringExecution")


def _term(term: Fields, node: str, labels: Mapping[str, str]) -> bool:
    with term:
        checks = [_expression(fields, labels) for fields in term.objects("matchExpressions")]
        checks += [_expression(fields, {"metadata.name": node}) for fields in term.objects("matchFields")]
    # a term without expressions matches nothing
    return bool(checks) and all(checks)


def _expression(expression: Fields, labels: Mapping[str, str]) -> bool:
    with expression:
        value = labels.get(expression.need("key"))
        values: Sequence[str] = expression.take("values", ())
        operator = expression.only("operator", "In", "NotIn", "Exists", "DoesNotExist")
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[str(operator)]


def _replicas(workload: Mapping[str, Any], fitting: Sequence[str], placed: Sequence[Assignment]) -> list[str]:
    replicas = workload["spec"].get("replicas", 1)
    free = [node for node in fitting if not _clash(Assignment(workload, node), placed)]
    if len(free) < replicas:
        name = workload["metadata"]["name"]
        raise ManifestError(f"{name}: {replicas} replicas, but only {len(free)} nodes fit: {', '.join(free) or 'none'}")
    return free[:replicas]


def _clash(wanted: Assignment, placed: Iterable[Assignment]) -> str:
    for other in placed:
        shared = host_ports(wanted.workload) & host_ports(other.workload) if other.node == wanted.node else set()
        if shared:
            protocol, port = min(shared)
            return f"{other.name} has {protocol} {port} of the node already"
    return ""


def host_ports(workload: Mapping[str, Any]) -> set[tuple[str, int]]:
    """Protocol and number of the node's ports that a pod takes."""
    spec = workload["spec"]["template"]["spec"]
    return {
        (port.get("protocol", "TCP"), port.get("hostPort", port["containerPort"]))
        for container in spec["containers"]
        for port in container.get("ports", ())
        if spec.get("hostNetwork") or "hostPort" in port
    }
