"""A stand-in for Cilium: the overlay between nodes, Services, and masquerading, by the kernel's own means.

Where it matters here it does what Cilium does: packets out of VXLAN are taken whatever MAC they carry, those for
others go on through the node's routes, and pods leave the cluster under the node's address where the settings say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .cilium_rules import devices, next_hop, route, ruleset, settings
from .nodes import Node
from .stage import Cluster
from .workloads import Service


class Cilium:
    """All nodes' agents in one. Its settings are those of the CiliumNodeConfigs among the rendered objects."""

    def __init__(self, cluster: Cluster, objects: Iterable[Mapping[str, Any]]) -> None:
        self.settings = settings(objects, cluster.node_interface)
        self._pods = cluster.pods
        self._nodes: dict[str, Node] = {}
        self._services: dict[str, str] = {}

    def join(self, *nodes: Node) -> None:
        """Starts on new nodes, also on one that died and is back; all others learn the way to their pods."""
        for node in nodes:
            self._nodes.pop(node.name, None)
        before = tuple(self._alive())
        self._nodes |= {node.name: node for node in nodes}
        for node in nodes:
            node.namespace.batch(*devices(node.spec), *self._ways(node))
            node.namespace.sysctl(conf__cilium_host__rp_filter=0, conf__cilium_net__rp_filter=0)
            node.namespace.nft(ruleset(node.spec, self._pods, self.settings, self._services))
        for node in before:
            node.namespace.batch(*(route(node.spec, other.spec) for other in nodes))

    def leave(self, node: Node) -> None:
        """The node was taken out of the cluster: all others forget the way to its pods. One that died stays known."""
        del self._nodes[node.name]
        for other in self._alive():
            other.namespace.ip("route", "delete", node.spec.pods)

    def restore(self, node: Node) -> None:
        """Puts back what the kernel forgot when cilium_vxlan went down: Cilium's own ways are in BPF and outlive it."""
        node.namespace.batch(*self._ways(node))

    def publish(self, *services: Service) -> None:
        """All nodes learn the Services that they do not know yet."""
        wanted = {service.address: service.backend.address for service in services}
        new = {address: backend for address, backend in wanted.items() if self._services.get(address) != backend}
        if not new:
            return
        self._services |= new
        elements = ", ".join(f"{address} : {backend}" for address, backend in new.items())
        for node in self._alive():
            node.namespace.nft(f"add element ip cilium services {{ {elements} }}\n")

    def withdraw(self, service: Service) -> None:
        """All nodes forget the Service."""
        del self._services[service.address]
        for node in self._alive():
            node.namespace.nft(f"delete element ip cilium services {{ {service.address} }}\n")

    def _alive(self) -> Iterator[Node]:
        return (node for node in self._nodes.values() if node.namespace.path.exists())

    def _ways(self, node: Node) -> list[str]:
        others = (other for other in self._nodes.values() if other.name != node.name)
        return [next_hop(), *(route(node.spec, other.spec) for other in others)]
