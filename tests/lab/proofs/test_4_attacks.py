"""A remote site or a pod that means harm changes nothing."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Network
from itertools import islice

import pytest

from tests.lab.twin import kernel, state
from tests.lab.twin.namespace import Namespace
from tests.lab.twin.sites import Site
from tests.lab.twin.stage import Cluster
from tests.lab.twin.twin import Twin
from tests.lab.twin.waiting import until

_MANY = 100_000
_BGP, _VTY = 179, (2600, 2601, 2605, 2617, 2619, 2623)
"""Ports of BGP, and of the terminals of FRR's daemons (its services file)."""
_SECONDS = 3.0


def _parts(ranges: Iterable[str], length: int) -> Iterator[str]:
    return (str(part) for cidr in ranges for part in IPv4Network(cidr).subnets(new_prefix=length))


def _default(cluster: Cluster) -> list[str]:
    return ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"]


def _own(cluster: Cluster) -> list[str]:
    return [*cluster.pods, *cluster.nodes, *cluster.services]


def _specific(cluster: Cluster) -> list[str]:
    return list(islice(_parts((*cluster.services, *cluster.pods, *cluster.nodes), 28), 50))


def _addresses(cluster: Cluster) -> list[str]:
    return [f"{gateway.internal_ip}/32" for gateway in cluster.gateways] + ["169.254.100.0/30", "169.254.0.0/16"]


def _flood(cluster: Cluster) -> list[str]:
    return list(islice(_parts(("100.64.0.0/10",), 28), _MANY))


@pytest.mark.parametrize(
    "prefixes",
    [_default, _own, _specific, _addresses, _flood],
    ids=["default route", "the cluster's ranges", "parts of them", "gateways and link-local", "100,000 prefixes"],
)
def test_hijack(twin: Twin, prefixes: Callable[[Cluster], list[str]]) -> None:
    """A site announces what it may not: no node's kernel learns anything"""
    announced = prefixes(twin.cluster)
    before = {name: _tables(node.namespace) for name, node in twin.nodes.items()}
    for site in twin.sites.values():
        site.announce(announced)
        # what was announced last has arrived where the first announcement after it has
        _wait_for_marker(twin, site)
    found = {name: _tables(node.namespace) for name, node in twin.nodes.items()}
    wrong = state.problems(twin)
    for site in twin.sites.values():
        site.withdraw(announced)
    assert found == before
    assert wrong == []


def _tables(namespace: Namespace) -> tuple[frozenset[str], frozenset[str]]:
    """All routes of the main table, and those out of tunnels."""
    main = namespace.ip("-oneline", "route", "show", "table", "main")
    tunnel = namespace.ip("-oneline", "route", "show", "table", "11100", check=False)
    return frozenset(main.splitlines()), frozenset(tunnel.splitlines())


def _wait_for_marker(twin: Twin, site: Site) -> None:
    """Announces one more route that may pass, and waits until it has come and gone on every node."""
    network = IPv4Network(site.remote.accepted_cidrs[0])
    marker = str(list(network.subnets(new_prefix=network.prefixlen + 4))[-1])
    nodes = [node.namespace for node in twin.nodes.values()]

    def holding() -> int:
        return sum(marker in kernel.ways(namespace) for namespace in nodes)

    site.announce([marker])
    until(f"{marker} on every node", holding, lambda count: count == len(nodes), ceiling=120)
    site.withdraw([marker])
    until(f"{marker} on no node", holding, lambda count: count == 0, ceiling=120)


def test_pods_cannot_speak_to_routers(twin: Twin) -> None:
    """From a pod, and from a pod with its node's network, nothing can be told to any FRR."""
    worker = twin.workers[0]
    places = {worker: twin.nodes[worker].namespace, "its pod": twin.workloads[worker.replace("node", "pod")].namespace}
    targets = [node.address for node in twin.nodes.values()]
    heard = [
        f"{place} -> {address}:{port}"
        for place, namespace in places.items()
        for address, port in _listening(namespace, [(target, p) for target in targets for p in (_BGP, *_VTY)])
    ]
    assert heard == []


def _listening(namespace: Namespace, targets: list[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Where a TCP connection comes about; all are tried at once."""
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for target in targets:
            attempt = stack.enter_context(namespace.socket(socket.AF_INET, socket.SOCK_STREAM))
            attempt.setblocking(False)
            attempt.connect_ex(target)
            selector.register(attempt, selectors.EVENT_WRITE, (target, attempt))
        end = time.monotonic() + _SECONDS
        while selector.get_map() and time.monotonic() < end:
            for key, _ in selector.select(end - time.monotonic()):
                target, attempt = key.data
                selector.unregister(attempt)
                if attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    yield target
