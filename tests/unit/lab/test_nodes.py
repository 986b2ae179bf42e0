"""Where nodes, pods and Services of the twin are."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from tests.lab.twin.nodes import NodeSpec, gateway_specs, pod_range, worker_spec
from tests.lab.twin.stage import Cluster
from tests.lab.twin.workloads import device_name, service_address
from tests.unit.lab.clusters import CLUSTER


def whole(cluster: Cluster, workers: int) -> list[NodeSpec]:
    return [*gateway_specs(cluster), *(worker_spec(cluster, number + 1) for number in range(workers))]


def test_gateways_are_where_the_inventory_says() -> None:
    a, b = gateway_specs(CLUSTER)
    assert a == NodeSpec("node-a", "np-1.example.internal", "172.27.0.11", "203.0.113.11", "10.130.0.0/24")
    assert (b.name, b.address, b.pods) == ("node-b", "172.27.0.101", "10.130.1.0/24")
    assert a.labels == {"kubernetes.io/hostname": "np-1.example.internal", "kubernetes.io/os": "linux"}
    assert a.router == "10.130.0.1"


def test_workers_take_turns_in_the_ranges_of_nodes_and_leave_the_gateways_their_addresses() -> None:
    addresses = [worker_spec(CLUSTER, number).address for number in (1, 2, 3)]
    assert addresses == ["172.27.0.102", "172.27.32.101", "172.27.0.103"]


def test_a_worker_has_a_public_address_that_no_gateway_and_no_peer_has() -> None:
    assert worker_spec(CLUSTER, 1).public == "203.0.113.203"


def test_a_worker_is_always_at_the_same_place() -> None:
    assert worker_spec(CLUSTER, 2) == worker_spec(CLUSTER, 2)


def test_no_two_nodes_share_anything() -> None:
    specs = whole(CLUSTER, 30)
    for field in ("name", "hostname", "address", "public", "pods"):
        values = [getattr(spec, field) for spec in specs]
        assert len(set(values)) == len(values), field
    assert all(any(IPv4Address(s.address) in IPv4Network(n) for n in CLUSTER.nodes) for s in specs)


def test_small_ranges_are_used_to_their_end() -> None:
    small = replace(CLUSTER, nodes=("172.27.0.8/29",))
    taken = {worker_spec(small, number).address for number in range(1, 5)}
    assert taken == {"172.27.0.10", "172.27.0.12", "172.27.0.13", "172.27.0.14"}
    with pytest.raises(ValueError, match=r"172\.27\.0\.8/29 has no address left"):
        worker_spec(small, 5)


@pytest.mark.parametrize(
    ("pods", "index", "part"),
    [
        ("10.130.0.0/16", 3, "10.130.3.0/24"),
        ("10.0.0.0/8", 257, "10.1.1.0/24"),
        ("10.130.0.0/22", 15, "10.130.3.192/26"),
    ],
)
def test_each_node_has_its_part_of_the_range_of_pods(pods: str, index: int, part: str) -> None:
    assert pod_range(replace(CLUSTER, pods=(pods,)), index) == part


def test_a_range_of_pods_ends() -> None:
    with pytest.raises(ValueError, match="found no /26 for node 17"):
        pod_range(replace(CLUSTER, pods=("10.130.0.0/22",)), 16)


def test_services_are_counted_from_one() -> None:
    assert service_address(CLUSTER, 1) == "10.131.0.10"
    with pytest.raises(IndexError):
        service_address(replace(CLUSTER, services=("10.131.0.0/29",)), 1)


@pytest.mark.parametrize("pod", ["pod-a", "pod-123456789", "pod-a-long-gateway-name-2"])
def test_the_name_of_a_pods_device_fits_the_kernel_and_begins_as_ciliums_do(pod: str) -> None:
    assert device_name(pod).startswith("lxc")
    assert len(device_name(pod)) <= 15
