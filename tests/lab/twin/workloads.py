"""What runs in the cluster and talks to remote sites: pods, nodes themselves, and Services before pods."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from zlib import crc32

from .cilium_rules import PROTOCOL, ROUTE_MTU
from .fabric import mac
from .namespace import Namespace
from .nodes import Node
from .stage import Cluster

_FIRST = 10
_OUTER_MAC = "02:01:00:00:00:01"
"""Of the node's end of each pod's cable, so that no pod has to ask."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A pod, or the node itself (host network)."""

    name: str
    node: Node
    address: str
    namespace: Namespace

    @classmethod
    def pod(cls, node: Node, number: int = 1) -> Workload:
        """A new pod on the node: pod-a on node-a, further ones pod-a-2 and so on. Cilium must run on the node.

        Its namespace must not exist: where the node died before, delete the old pod first.
        """
        name = node.name.replace("node", "pod", 1) + (f"-{number}" if number > 1 else "")
        address = str(IPv4Network(node.spec.pods)[_FIRST + number - 1])
        namespace = Namespace.create(name)
        outside, router = device_name(name), node.spec.router
        node.namespace.batch(
            f"link add {outside} address {_OUTER_MAC} type veth peer name eth0 address {mac(address)} netns {name}",
            f"link set {outside} up",
            f"neighbour add {address} lladdr {mac(address)} dev {outside} nud permanent",
            f"route add {address}/32 dev {outside} proto {PROTOCOL} scope link src {router}",
        )
        node.namespace.sysctl(**{f"conf__{outside}__rp_filter": 0})
        namespace.batch(
            f"address add {address}/32 dev eth0",
            "link set eth0 up",
            f"neighbour add {router} lladdr {_OUTER_MAC} dev eth0 nud permanent",
            f"route add {router}/32 dev eth0 scope link",
            f"route add default via {router} dev eth0 mtu {ROUTE_MTU}",
        )
        return cls(name, node, address, namespace)

    @classmethod
    def host(cls, node: Node) -> Workload:
        """What runs in the node's own network."""
        return cls(node.name, node, node.address, node.namespace)

    def delete(self) -> None:
        """Ends the pod, whether or not its node still lives."""
        self.node.namespace.ip("link", "delete", device_name(self.name), check=False)
        self.namespace.delete()


@dataclass(frozen=True, slots=True)
class Service:
    """A ClusterIP in front of one pod: TCP and UDP, every port."""

    address: str
    backend: Workload


def service_address(cluster: Cluster, number: int) -> str:
    """ClusterIP number 1, 2 and so on. Raises IndexError where the range of Services ends before."""
    return str(IPv4Network(cluster.services[0])[_FIRST + number - 1])


def device_name(pod: str) -> str:
    """The node's end of a pod's cable; Cilium's begin with `lxc` too."""
    return f"lxc{pod}" if len(pod) <= 12 else f"lxc{pod[:7]}-{crc32(pod.encode()) & 0xFFFF:04x}"
