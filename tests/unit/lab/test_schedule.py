"""Pods go where Kubernetes would put them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.twin.fields import ManifestError
from tests.lab.twin.schedule import schedule


def workload(kind: str, name: str, *, replicas: int = 1, ports: tuple[int, ...] = (), **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "ports": [{"containerPort": port, "protocol": "UDP"} for port in ports]}
    template = {"spec": {"containers": [container], **spec}}
    return {"kind": kind, "metadata": {"name": name}, "spec": {"replicas": replicas, "template": template}}


def named(operator: str, *names: str) -> dict[str, Any]:
    rule = {"key": "metadata.name", "operator": operator, "values": list(names)}
    terms = [{"matchFields": [rule]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def placed(*workloads: dict[str, Any], nodes: tuple[str, ...] = ("one", "two", "three")) -> list[tuple[str, str]]:
    return [(pod.name, pod.node) for pod in schedule(workloads, {node: {} for node in nodes})]


def test_a_daemon_set_is_on_every_node() -> None:
    assert placed(workload("DaemonSet", "routes")) == [("routes", "one"), ("routes", "two"), ("routes", "three")]


def test_a_daemon_set_is_only_where_its_affinity_allows() -> None:
    assert placed(workload("DaemonSet", "routes", affinity=named("NotIn", "two"))) == [
        ("routes", "one"),
        ("routes", "three"),
    ]


def test_a_deployment_has_one_pod_for_each_replica_on_a_node_that_fits() -> None:
    assert placed(workload("Deployment", "gateway", affinity=named("In", "two"))) == [("gateway", "two")]


def test_the_host_name_is_a_label_of_every_node() -> None:
    gateway = workload("Deployment", "gateway", nodeSelector={"kubernetes.io/hostname": "three"})
    assert placed(gateway) == [("gateway", "three")]


def test_any_term_of_an_affinity_may_match_and_all_its_expressions_must() -> None:
    expressions = [{"key": "gpu", "operator": "Exists"}, {"key": "zone", "operator": "DoesNotExist"}]
    fields = [{"key": "metadata.name", "operator": "In", "values": ["b"]}]
    terms = [{"matchExpressions": expressions}, {"matchFields": fields}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    nodes = {"a": {"gpu": ""}, "b": {}, "c": {"gpu": "", "zone": "1"}, "d": {}}
    found = schedule([workload("DaemonSet", "routes", affinity=affinity)], nodes)
    assert [pod.node for pod in found] == ["a", "b"]


def test_a_deployment_that_fits_nowhere_is_refused() -> None:
    with pytest.raises(ManifestError, match="gateway: 1 replicas, but only 0 nodes fit: none"):
        placed(workload("Deployment", "gateway", affinity=named("In", "four")))


def test_two_pods_that_want_one_port_of_a_node_are_refused() -> None:
    first = workload("DaemonSet", "first", hostNetwork=True, ports=(3784,))
    second = workload("DaemonSet", "second", hostNetwork=True, ports=(500, 3784))
    with pytest.raises(ManifestError, match="second on one: first has UDP 3784 of the node already"):
        placed(first, second)


def test_replicas_with_ports_of_the_node_are_on_different_nodes() -> None:
    gateway = workload("Deployment", "gateway", replicas=2, hostNetwork=True, ports=(500,))
    assert placed(gateway) == [("gateway", "one"), ("gateway", "two")]
    with pytest.raises(ManifestError, match="second: 2 replicas, but only 1 nodes fit: three"):
        placed(gateway, workload("Deployment", "second", replicas=2, hostNetwork=True, ports=(500,)))


def test_what_the_scheduler_would_heed_and_the_twin_does_not_is_refused() -> None:
    anti: dict[str, Any] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}
    with pytest.raises(ManifestError, match="does not know requiredDuringScheduling"):
        placed(workload("Deployment", "gateway", affinity=anti))
    with pytest.raises(ManifestError, match="operator: found 'Gt'"):
        placed(workload("Deployment", "gateway", affinity=named("Gt", "1")))
