"""The baseline's route agent on a node: each second it asks FRR for the whole table, and runs `ip` for each prefix.

Nothing valid from FRR means no routes to it, and a route that the kernel refuses ends it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable

from .configuration import OVERLAY, OVERLAY_HOP, OVERLAY_MAC

_ASK = ("vtysh", "-c", "show bgp ipv4 unicast json")
_SECONDS = 1.0


def next_hops(shown: str) -> dict[str, tuple[str, ...]]:
    """All next hops by prefix, whether valid and chosen or not; none at all where the text is not JSON."""
    try:
        routes = json.loads(shown)["routes"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {
        prefix: tuple(sorted({hop["ip"] for path in paths for hop in path.get("nexthops", ())}))
        for prefix, paths in routes.items()
    }


def replacing(prefix: str, gateways: Iterable[str]) -> tuple[str, ...]:
    """The command that sends a prefix to the gateways inside VXLAN, with Cilium's identity `world` as VNI."""
    words = ["ip", "route", "replace", prefix]
    for gateway in gateways:
        words += ["nexthop", "encap", "ip", "id", "2", "src", "0.0.0.0", "dst", gateway]
        words += ["via", OVERLAY_HOP, "dev", OVERLAY, "weight", "1", "onlink"]
    return tuple(words)


def _run(argv: tuple[str, ...]) -> None:
    pid = os.posix_spawnp(argv[0], argv, os.environ)
    if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit(f"{' '.join(argv)}: exit {code}")


def poll(image: str, known: set[str]) -> set[str]:
    """One round. Returns the prefixes that have routes now."""
    shown = subprocess.run(("chroot", image, *_ASK), stdout=subprocess.PIPE, text=True, check=False).stdout
    wanted = next_hops(shown)
    for prefix, gateways in wanted.items():
        _run(replacing(prefix, gateways))
    for prefix in known - wanted.keys():
        _run(("ip", "route", "delete", prefix))
    return set(wanted)


def main() -> None:
    """Runs in the node's namespace; the argument is the image's tree, with the sockets of the node's FRR in it."""
    _run(("ip", "neigh", "replace", OVERLAY_HOP, "lladdr", OVERLAY_MAC, "dev", OVERLAY, "nud", "permanent"))
    known: set[str] = set()
    while True:
        known = poll(sys.argv[1], known)
        time.sleep(_SECONDS)


if __name__ == "__main__":
    main()
