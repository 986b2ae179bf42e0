"""The twin of one cluster: its nodes with the rendered pods on them, the fabric around, and the remote sites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .cilium import Cilium
from .fabric import Fabric
from .kubelet import Kubelet, Machine, Pod
from .lifecycle import Pace
from .nodes import Node, NodeSpec, gateway_specs, worker_spec
from .reachability import Endpoint
from .routers import Router
from .schedule import Assignment, schedule
from .sites import Site
from .stage import Gateway, Stage
from .workloads import Service, Workload, service_address

_SERVICE_PORT = 80
_EMULATED = 8
"""How much rarer probes are where the processor is emulated: some 14 containers' would keep it busy all the time."""


@dataclass(frozen=True, slots=True)
class GatewayNode:
    """A gateway as it runs now: its node and its two pods."""

    gateway: Gateway
    node: Node
    tunnel: Pod
    """Containers strongswan and frr: charon and the FRR of namespace strongswan."""
    routes: Pod
    """Containers frr and agent: the node's FRR, the reflector."""

    @property
    def inner(self) -> Router:
        """The FRR in namespace strongswan."""
        return router(self.tunnel)

    @property
    def host(self) -> Router:
        """The node's FRR."""
        return router(self.routes)


class Twin:
    """A context manager: the twin runs inside, and nothing of it afterwards."""

    def __init__(self, stage: Stage, logs: Path, workers: int = 2) -> None:
        """`workers` are the nodes beside the gateways. What containers and sites print goes to the folder `logs`."""
        self.stage, self.cluster = stage, stage.cluster
        self.objects = stage.objects
        self._logs = logs
        self._pace = Pace(probes=_EMULATED if "QEMU TCG" in Path("/proc/cpuinfo").read_text() else 1)
        self._specs = {spec.name: spec for spec in gateway_specs(self.cluster)}
        self._specs |= {spec.name: spec for spec in (worker_spec(self.cluster, n + 1) for n in range(workers))}
        self.fabric = Fabric(self.cluster)
        self.cilium = Cilium(self.cluster, self.objects)
        self.sites = {remote.name: Site(remote, self.cluster, self.fabric) for remote in self.cluster.remotes}
        self.nodes: dict[str, Node] = {}
        self.kubelets: dict[str, Kubelet] = {}
        self.workloads: dict[str, Workload] = {}
        self.services: dict[str, Service] = {}

    def __enter__(self) -> Twin:
        self.lay()
        for site in self.sites.values():
            site.start()
        self.run()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for kubelet in self.kubelets.values():
            kubelet.stop()
        self.keep_logs()
        for site in self.sites.values():
            site.close()

    def lay(self) -> None:
        """Makes nodes and workloads, without any of our pods."""
        for spec in self._specs.values():
            self.nodes[spec.name] = Node.create(spec, self.fabric)
        self.cilium.join(*self.nodes.values())
        self._occupy(*self.nodes.values())

    def run(self) -> None:
        """Starts the pods that belong on each node."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._boot, self.nodes))

    @property
    def pods(self) -> dict[str, Pod]:
        """Our pods that exist, by node and workload, like `node-1/ipsec-routes-nodes`."""
        return {
            f"{node}/{pod.workload['metadata']['name']}": pod
            for node, kubelet in self.kubelets.items()
            for pod in kubelet.pods
        }

    @property
    def gateways(self) -> dict[str, GatewayNode]:
        """The gateways whose nodes are on, by name."""
        return {
            gateway.name: self._gateway(gateway)
            for gateway in self.cluster.gateways
            if f"node-{gateway.name}" in self.kubelets
        }

    @property
    def workers(self) -> tuple[str, ...]:
        """The nodes beside the gateways that are on."""
        gateways = {f"node-{gateway.name}" for gateway in self.cluster.gateways}
        return tuple(name for name in self.nodes if name not in gateways)

    def routes_pod(self, node: str) -> Pod:
        """The node's pod of the route DaemonSets."""
        return next(
            pod for pod in self.kubelets[node].pods if pod.workload["metadata"]["name"].startswith("ipsec-routes")
        )

    def power_off(self, name: str) -> None:
        """The node is gone without a word, and with it everything that ran on it."""
        # processes that are killed would still say goodbye over TCP
        self.fabric.cut(name)
        self.kubelets.pop(name).vanish()
        self.workloads.pop(f"pod-{name.removeprefix('node-')}").delete()
        del self.nodes[name]
        self.fabric.detach_node(name)

    def power_on(self, name: str) -> None:
        """The node boots: an empty kernel, then the same pods."""
        self._appear(self._specs[name])

    def add_worker(self) -> str:
        """A new node joins the cluster; its name."""
        spec = worker_spec(self.cluster, len(self._specs) - len(self.cluster.gateways) + 1)
        self._specs[spec.name] = spec
        self._appear(spec)
        return spec.name

    def remove_worker(self, name: str) -> None:
        """The node is drained, taken out of the cluster and deleted."""
        for pod in tuple(self.kubelets[name].pods):
            pod.delete()
        self.cilium.leave(self.nodes[name])
        self.power_off(name)
        del self._specs[name]

    def deploy(self, name: str) -> None:
        """Runs the pods that belong on a node that has none."""
        for assignment in self.assignments(name):
            self.kubelets[name].run(assignment.workload)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Everything in the cluster that a remote site can call: pods and nodes."""
        hosts = (Workload.host(node) for node in self.nodes.values())
        return tuple(Endpoint(w.name, w.namespace, w.address) for w in (*self.workloads.values(), *hosts))

    def service_endpoints(self) -> tuple[Endpoint, ...]:
        """The Services, each as a way to its pod."""
        return tuple(
            Endpoint(
                name=f"service-{name}",
                namespace=service.backend.namespace,
                address=service.backend.address,
                port=_SERVICE_PORT,
                service=(service.address, _SERVICE_PORT),
            )
            for name, service in self.services.items()
        )

    def remote_endpoints(self) -> tuple[Endpoint, ...]:
        """The hosts behind the sites, one for each range."""
        return tuple(
            Endpoint(f"{site.host.name}-{address}", site.host, address)
            for site in self.sites.values()
            for address in site.host_addresses
        )

    def keep_logs(self) -> None:
        """Writes what the sites logged to the folder of logs; containers write there themselves."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for name, site in self.sites.items():
            (self._logs / f"site-{name}.log").write_text(site.logs())

    def assignments(self, node: str) -> Iterator[Assignment]:
        """The pods that belong on a node."""
        labels: dict[str, Mapping[str, str]] = {spec.hostname: spec.labels for spec in self._specs.values()}
        hostname = self._specs[node].hostname
        return (assignment for assignment in schedule(self.objects, labels) if assignment.node == hostname)

    def _appear(self, spec: NodeSpec) -> None:
        node = self.nodes[spec.name] = Node.create(spec, self.fabric)
        self.cilium.join(node)
        self._occupy(node)
        self._boot(spec.name)

    def _occupy(self, *nodes: Node) -> None:
        """A pod and its Service on each node."""
        names = list(self._specs)
        for node in nodes:
            workload = Workload.pod(node)
            self.workloads[workload.name] = workload
            address = service_address(self.cluster, names.index(node.name) + 1)
            self.services[workload.name] = Service(address, workload)
        self.cilium.publish(*(self.services[node.name.replace("node", "pod", 1)] for node in nodes))

    def _boot(self, name: str) -> None:
        node = self.nodes[name]
        machine = Machine(node.spec.hostname, node.address, node.namespace)
        kubelet = Kubelet(machine, self.objects, self.stage.secrets, self._logs / name, self._pace)
        self.kubelets[name] = kubelet
        self.deploy(name)

    def _gateway(self, gateway: Gateway) -> GatewayNode:
        name = f"node-{gateway.name}"
        tunnel = self.kubelets[name].pod(f"ipsec-tunnel-{gateway.name}")
        return GatewayNode(gateway, self.nodes[name], tunnel, self.routes_pod(name))


def router(pod: Pod) -> Router:
    """The FRR of a pod."""
    return Router(pod.volume("frr-run"))


def named(objects: tuple[dict[str, Any], ...], kind: str, name: str) -> dict[str, Any]:
    """The rendered object of this kind and name. Raises StopIteration where there is none."""
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)
