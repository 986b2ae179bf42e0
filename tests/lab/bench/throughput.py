"""How fast TCP is from a pod through everything to a site's host, and between the two ends of a tunnel alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from ..twin.namespace import Namespace
from ..twin.reachability import Endpoint
from ..twin.shell import run
from ..twin.sites import Site
from ..twin.streams import transfer
from ..twin.twin import GatewayNode, Twin

_SIZE = 8 << 20
_TIMES = 3


@dataclass(frozen=True, slots=True)
class Speeds:
    """Megabits each second, of one TCP connection."""

    out: float
    """To the site."""
    inwards: float


def whole_path(twin: Twin, site: Site) -> Speeds:
    """Between a worker's pod and the host behind the site. Raises AssertionError where a transfer fails."""
    pod = twin.workloads[twin.workers[0].replace("node", "pod", 1)]
    return speeds(
        Endpoint(pod.name, pod.namespace, pod.address), Endpoint(site.host.name, site.host, site.host_addresses[0])
    )


def bare_tunnel(gateway: GatewayNode, site: Site) -> Speeds:
    """Between a gateway's namespace `strongswan` and the site's own router. Raises AssertionError as `whole_path`.

    For that the gateway's packet filter lets TCP from the site's router in, until it is loaded again.
    """
    tunnel = next(tunnel for tunnel in site.remote.tunnels if tunnel.gateway == gateway.gateway.name)
    with _named(gateway) as inside:
        peer = f'iifname "{tunnel.interface}" ip saddr {tunnel.inside_peer}'
        inside.nft(f"insert rule ip tunnelfleet input {peer} meta l4proto tcp accept\n")
        return speeds(
            Endpoint(inside.name, inside, tunnel.inside_local),
            Endpoint(site.namespace.name, site.namespace, tunnel.inside_peer),
        )


def speeds(cluster: Endpoint, remote: Endpoint) -> Speeds:
    """The middle of some transfers each way."""
    return Speeds(_speed(cluster, remote), _speed(remote, cluster))


def _speed(source: Endpoint, destination: Endpoint) -> float:
    found = []
    for _ in range(_TIMES):
        done = transfer(source, destination, _SIZE)
        if done.problem:
            raise AssertionError(f"wanted: {_SIZE} bytes from {source.name} to {destination.name}\nfound: {done}")
        found.append(done.megabits)
    return median(found)


@contextmanager
def _named(gateway: GatewayNode) -> Iterator[Namespace]:
    """Network namespace `strongswan` under a name of the machine: its own is known in the pod alone."""
    namespace = Namespace(f"inside-{gateway.gateway.name}")
    pid = gateway.tunnel.containers["strongswan"].pid
    enter = ("nsenter", f"--net=/proc/{pid}/root/run/netns/strongswan")
    # the shell is in the namespace, and stays the same process when it becomes `ip`
    run((*enter, "sh", "-c", f'exec ip netns attach {namespace.name} "$$"'))
    try:
        yield namespace
    finally:
        run(("ip", "netns", "delete", namespace.name))
