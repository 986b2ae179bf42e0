"""The baseline in the twin: two gateways' pods, an FRR on every node, and an agent on all nodes but the gateways'.

On a gateway's node FRR itself writes the routes through ss0: the agent has nothing to do there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ..bench.outages import Blow
from ..twin import kernel
from ..twin.fabric import Fabric
from ..twin.kernel import Hop
from ..twin.nodes import Node
from ..twin.sites import Site
from ..twin.sites.daemons import IMAGE
from ..twin.stage import Cluster
from . import configuration
from .configuration import HOLD, KEEPALIVE, OVERLAY, VETH, Way
from .frr import INTO_IMAGE, Frr
from .gateway import GatewayPod

_FOLDER = Path("/run/baseline")
_CHECKOUT = Path(__file__).parents[3]
_AGENT = INTO_IMAGE + 'exec "$2" -m tests.lab.baseline.agent "$1"\n'
_STATIC, _BGP = "boot", "bgp"


def usual(cluster: Cluster) -> Cluster:
    """The cluster with sites as this design asks their owners to configure them: timers 10 30, no BFD.

    Only a site of profile `generic` is its owner's to configure; clouds stay as they are.
    """
    remotes = tuple(
        replace(remote, keepalive=KEEPALIVE, hold=HOLD, bfd=None) if remote.profile == "generic" else remote
        for remote in cluster.remotes
    )
    return replace(cluster, remotes=remotes)


@dataclass(frozen=True, slots=True)
class _NodePod:
    """What runs on a node: FRR, and the agent where it has work."""

    node: Node
    frr: Frr
    configuration: str
    works: bool

    def start(self) -> subprocess.Popen[bytes] | None:
        self.frr.start(self.configuration)
        if not self.works:
            return None
        argv = ("sh", "-ec", _AGENT, str(self.frr.folder), str(IMAGE), sys.executable)
        with (self.frr.folder / "agent.log").open("ab") as log:
            return subprocess.Popen(
                ("ip", "netns", "exec", self.node.namespace.name, *argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=_CHECKOUT,
                start_new_session=True,
            )


class Baseline:
    """The usual design on the twin's nodes. `nodes` and `sites` run already; nothing else routes to the sites.

    It knows one site: the first. Raises ValueError where that is none that it can connect to.
    """

    name = "baseline"

    def __init__(self, cluster: Cluster, fabric: Fabric, nodes: Iterable[Node], sites: Iterable[Site]) -> None:
        self._cluster = cluster
        self._fabric = fabric
        self._nodes = {node.address: node for node in nodes}
        self._site = next(iter(sites))
        self._ways = {way.gateway.name: way for way in configuration.ways(cluster, self._site.remote)}
        self.pods = {
            name: GatewayPod(way, cluster, self._gateway_node(name).namespace, _FOLDER)
            for name, way in self._ways.items()
        }
        self._node_pods = {address: self._node_pod(node) for address, node in self._nodes.items()}
        self._agents: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Starts everything, the gateways first; `healthy` tells when it works."""
        gateways = {way.gateway.internal_ip for way in self._ways.values()}
        with ThreadPoolExecutor() as pool:
            list(pool.map(GatewayPod.start, self.pods.values()))
            # clients find their reflectors at the first attempt
            list(pool.map(self._start_node, gateways))
            list(pool.map(self._start_node, self._node_pods.keys() - gateways))

    def healthy(self, prefixes: Collection[str] = ()) -> bool:
        """Whether tunnels, sessions and routes are up on every node, for these prefixes beside those of the start."""
        return not self.problems(prefixes)

    def problems(self, prefixes: Collection[str] = ()) -> list[str]:
        """What is not as it should be; empty where all is well."""
        sessions = self._site.sessions()
        found = [line for pod in self.pods.values() for line in pod.problems()]
        for name, way in self._ways.items():
            if not sessions[way.tunnel].up:
                found.append(f"{way.remote.name}: BGP with gateway {name} is {sessions[way.tunnel].bgp}")
        tunnels = {way.tunnel for way in self._ways.values()}
        learnt = self._site.routes()
        for network in self._cluster.advertised:
            if not tunnels <= learnt.get(network, frozenset()):
                found.append(f"{self._site.remote.name}: {network} lacks routes through all gateways")
        wanted = {*self._site.announced, *prefixes}
        for address, node in self._nodes.items():
            missing = wanted - _prefixes(node, self._hops(address))
            if missing:
                found.append(f"{node.name}: {len(missing)} of {len(wanted)} prefixes lack routes to all gateways")
        found += [f"the agent of {name} has ended" for name, agent in self._agents.items() if agent.poll() is not None]
        return found

    def kill_gateway_node(self, name: str) -> None:
        """The gateway's node is dead: nothing leaves it from one moment to the next, and nothing runs on it."""
        node = self._gateway_node(name)
        self._fabric.cut(node.name)
        self.pods[name].vanish()
        self._node_pods[node.address].frr.kill()

    def blackhole(self, name: str) -> None:
        """IKE and ESP between the gateway and its peer are lost on the way."""
        self._fabric.block(*self._ends(name))

    def kill_charon(self, name: str) -> None:
        """charon dies and its container is started again at once."""
        self.pods[name].restart_charon()

    def drain(self, name: str) -> None:
        """The gateway's pod is deleted as kubelet does."""
        self.pods[name].delete()

    def restore(self, name: str) -> None:
        """A new pod on a node that is well; what happened to the path or the cable is undone by `mend`."""
        node = self._gateway_node(name)
        self.pods[name].vanish()
        self._fabric.mend(node.name)
        self.pods[name].start()
        if not self._node_pods[node.address].frr.running:
            self._start_node(node.address)

    def strike(self, blow: Blow, gateway: str) -> None:
        """Lets a failure happen to a gateway."""
        actions = {
            Blow.NODE_DIES: self.kill_gateway_node,
            Blow.PATH_BLACKHOLED: self.blackhole,
            Blow.CHARON_KILLED: self.kill_charon,
            Blow.DRAINED: self.drain,
        }
        actions[blow](gateway)

    def mend(self, blow: Blow, gateway: str) -> None:
        """Undoes `strike`."""
        if blow is Blow.PATH_BLACKHOLED:
            self._fabric.unblock(*self._ends(gateway))
        else:
            self.restore(gateway)

    def stop(self) -> None:
        """Ends all processes, and takes away what is not the nodes' own."""
        for agent in self._agents.values():
            agent.kill()
            agent.wait()
        for pod in self._node_pods.values():
            pod.frr.kill()
        for gateway in self.pods.values():
            gateway.vanish()

    def logs(self) -> str:
        """What the gateways' programs and the agents said last."""
        agents = (
            f"agent of {pod.node.name}:\n{(pod.frr.folder / 'agent.log').read_text(errors='replace')[-2000:]}"
            for pod in self._node_pods.values()
            if pod.works
        )
        return "\n".join([*(pod.logs() for pod in self.pods.values()), *agents])

    def _gateway_node(self, name: str) -> Node:
        return self._nodes[self._ways[name].gateway.internal_ip]

    def _ends(self, name: str) -> tuple[str, str]:
        way = self._ways[name]
        return way.tunnel.peer_address, way.gateway.public_ip

    def _node_pod(self, node: Node) -> _NodePod:
        ways: Mapping[str, Way] = {way.gateway.internal_ip: way for way in self._ways.values()}
        folder = _FOLDER / node.name
        if node.address in ways:
            text = configuration.reflector(ways[node.address], self._cluster)
            return _NodePod(node, Frr.of(node.namespace, folder), text, works=False)
        text = configuration.client(node.address, tuple(ways.values()), self._cluster)
        return _NodePod(node, Frr.of(node.namespace, folder, install=False), text, works=True)

    def _start_node(self, address: str) -> None:
        pod = self._node_pods[address]
        agent = pod.start()
        if agent is not None:
            self._agents[pod.node.name] = agent

    def _hops(self, address: str) -> tuple[str, frozenset[Hop]]:
        """Protocol and next hops that a node's routes should have."""
        gateways = {way.gateway.internal_ip for way in self._ways.values()}
        if address in gateways:
            return _BGP, frozenset({Hop(VETH)})
        return _STATIC, frozenset(Hop(OVERLAY, gateway) for gateway in gateways)


def _prefixes(node: Node, wanted: tuple[str, frozenset[Hop]]) -> set[str]:
    """The prefixes that a node's kernel routes to exactly these next hops."""
    protocol, hops = wanted
    return {route.prefix for route in kernel.routes(node.namespace, protocol) if route.hops == hops}
