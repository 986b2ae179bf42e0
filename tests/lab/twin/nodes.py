"""Nodes of the cluster: where they are, what Kubernetes calls them, and their namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from .fabric import Fabric
from .namespace import Namespace
from .stage import Cluster

OVERLAY = "cilium_vxlan"
OVERLAY_PORT = 8472
"""Cilium's UDP port for VXLAN."""

_FIRST_WORKER = 101
_WORKERS_PUBLIC = IPv4Network("203.0.113.0/24")
"""Every virtual machine has a public address of its own; the workers' are of no meaning to the inventory (RFC 5737)."""
_FIRST_PUBLIC = 201
_PODS_OF_A_NODE = 24


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node as Kubernetes and the cloud know it."""

    name: str
    """Its namespace's."""
    hostname: str
    address: str
    public: str
    pods: str
    """Range of its pods' addresses."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that pods choose nodes by."""
        return {"kubernetes.io/hostname": self.hostname, "kubernetes.io/os": "linux"}

    @property
    def router(self) -> str:
        """Address of cilium_host: the first in the range of pods."""
        return str(IPv4Network(self.pods)[1])


@dataclass(frozen=True, slots=True)
class Node:
    """A running node."""

    spec: NodeSpec
    namespace: Namespace

    @classmethod
    def create(cls, spec: NodeSpec, fabric: Fabric) -> Node:
        """Connects a new namespace to the fabric and gives it what a node with Cilium has before Cilium starts."""
        namespace = fabric.attach_node(spec.name, spec.address, spec.public)
        namespace.batch(
            # external: the outer destination and the VNI come with the route, or from BPF
            f"link add {OVERLAY} mtu 1500 type vxlan external dstport {OVERLAY_PORT}",
            f"link set {OVERLAY} up",
        )
        # systemd's default is 2; Cilium mends it where packets come another way than answers go
        # (99-zzz-override_cilium.conf)
        loose = {f"conf__{device}__rp_filter": 2 for device in ("default", fabric.interface)}
        off = {f"conf__{device}__rp_filter": 0 for device in ("all", OVERLAY)}
        namespace.sysctl(ip_forward=1, **loose, **off)
        return cls(spec, namespace)

    @property
    def name(self) -> str:
        """The namespace's name."""
        return self.spec.name

    @property
    def address(self) -> str:
        """The node's address in the fabric."""
        return self.spec.address


def gateway_specs(cluster: Cluster) -> tuple[NodeSpec, ...]:
    """The gateways' nodes."""
    return tuple(
        NodeSpec(
            name=f"node-{gateway.name}",
            hostname=gateway.node,
            address=gateway.internal_ip,
            public=gateway.public_ip,
            pods=pod_range(cluster, index),
        )
        for index, gateway in enumerate(cluster.gateways)
    )


def worker_spec(cluster: Cluster, number: int) -> NodeSpec:
    """Worker 1, 2 and so on: in turn in each of the node ranges, always at the same addresses.

    Raises ValueError where there is no address left for it.
    """
    ranges = tuple(map(IPv4Network, cluster.nodes))
    turn, index = divmod(number - 1, len(ranges))
    return NodeSpec(
        name=f"node-{number}",
        hostname=f"worker-{number}",
        address=_free(ranges[index], _FIRST_WORKER, {gateway.internal_ip for gateway in cluster.gateways}, turn),
        public=_free(_WORKERS_PUBLIC, _FIRST_PUBLIC, _public_addresses(cluster), number - 1),
        pods=pod_range(cluster, len(cluster.gateways) + number - 1),
    )


def pod_range(cluster: Cluster, index: int) -> str:
    """The range of pods on the cluster's node with this index: a /24, or a sixteenth of a small cluster's range.

    Raises ValueError where the cluster's first range of pods has no such part.
    """
    whole = IPv4Network(cluster.pods[0])
    length = max(_PODS_OF_A_NODE, whole.prefixlen + 4)
    start = int(whole.network_address) + (index << 32 - length)
    if start > int(whole.broadcast_address):
        raise ValueError(f"range of pods {whole}: found no /{length} for node {index + 1}; have fewer nodes")
    return str(IPv4Network((start, length)))


def _public_addresses(cluster: Cluster) -> set[str]:
    peers = {tunnel.peer_address for remote in cluster.remotes for tunnel in remote.tunnels}
    return peers | {gateway.public_ip for gateway in cluster.gateways}


def _free(network: IPv4Network, first: int, taken: set[str], number: int) -> str:
    """The address with this number among those of the range that are not taken, counted from host `first` on."""
    # the router has the first host
    hosts = range(2, network.num_addresses - 1)
    start = first if first in hosts else 2
    order = (*range(start, hosts.stop), *range(2, start))
    for offset in order:
        address = str(IPv4Address(int(network.network_address) + offset))
        if address in taken:
            continue
        if number == 0:
            return address
        number -= 1
    raise ValueError(f"range {network} has no address left")
