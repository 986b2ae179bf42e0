"""What stays behind when everything is uninstalled."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.lab.twin import kernel
from tests.lab.twin.kubelet import Pod
from tests.lab.twin.namespace import Namespace
from tests.lab.twin.twin import Twin
from tests.lab.twin.waiting import until

_CLEANUP = ("python3", "-B", "-m", "agent", "--cleanup")


def test_nothing_is_left(twin: Twin) -> None:
    """After the agents were told to clean up and all pods were deleted, the nodes are as they were before."""
    for name in twin.nodes:
        done = twin.routes_pod(name).containers["agent"].exec(_CLEANUP)
        assert done.returncode == 0, done.output
    with ThreadPoolExecutor() as pool:
        list(pool.map(Pod.delete, twin.pods.values()))
    for name, node in twin.nodes.items():
        until(f"nothing left on {name}", partial(_left, node.namespace), lambda found: not found, ceiling=30)
    for name in twin.nodes:
        twin.deploy(name)


def _left(namespace: Namespace) -> list[str]:
    """Whatever of ours a node's kernel still holds."""
    shown = {
        "link": (namespace.ip("-oneline", "link", "show"), r" (ss0|ipsec)"),
        "route": (namespace.ip("-oneline", "route", "show", "table", "all", "proto", kernel.AGENT), r"."),
        "rule": (namespace.ip("-oneline", "rule", "show"), rf"proto {kernel.AGENT}$|11100"),
        "nexthop": (namespace.ip("-oneline", "nexthop", "show", "proto", kernel.AGENT), r"."),
        "neighbour": (namespace.ip("-oneline", "neighbour", "show", "proto", kernel.AGENT), r"."),
        "state": (namespace.ip("xfrm", "state", "list", "nokeys"), r"^src"),
        "policy": (namespace.ip("xfrm", "policy", "list"), r"if_id"),
        "filter": (namespace.run(("nft", "list", "tables")), r"tunnelfleet"),
    }
    return [
        f"{kind}: {line}" for kind, (text, ours) in shown.items() for line in text.splitlines() if re.search(ours, line)
    ]
