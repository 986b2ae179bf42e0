"""Network namespace `strongswan` and what is in it: interfaces, addresses, routes, sysctls, packet filter.

The XFRM interfaces are made in the host's namespace, whose security associations they use ever after, and moved
(strongSwan, testing/tests/route-based/net2net-xfrmi-netns). So IKE and ESP stay in the host's namespace, without NAT,
while everything that is decrypted or is to be encrypted passes through this one.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

from gateway.settings import Gateway, Tunnel

NAME = "strongswan"
PATH = Path("/run/netns") / NAME
HOST_END = "ss0"
INNER_END = "ss0-peer"
HOST_ADDRESS = IPv4Interface("169.254.100.1/30")
INNER_ADDRESS = IPv4Interface("169.254.100.2/30")

Command = tuple[str, ...]

# the first line makes it, where there is none to delete
_NO_TABLE = "table ip tunnelfleet\ndelete table ip tunnelfleet\n"

_SECONDS = 20
_WITHIN: Command = ("ip", "-n", NAME)

_INNER_SYSCTLS = (
    "net.ipv4.ip_forward=1",
    # replies may leave by another tunnel or gateway than the one that their requests came by
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.conf.all.accept_redirects=0",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
    # several tunnels share the load by connection, not by pair of hosts
    "net.ipv4.fib_multipath_hash_policy=1",
    # IPv4 only: no link-local IPv6 in the tunnels
    "net.ipv6.conf.all.disable_ipv6=1",
    "net.ipv6.conf.default.disable_ipv6=1",
)
_HOST_SYSCTLS = (
    f"net.ipv4.conf.{HOST_END}.forwarding=1",
    f"net.ipv4.conf.{HOST_END}.rp_filter=0",
    f"net.ipv4.conf.{HOST_END}.send_redirects=0",
)
# /proc/sys is read-only in a container: set them through a proc mount of their own. -e: a node without IPv6.
_SYSCTL: Command = ("unshare", "--mount-proc", "sysctl", "-e", "-q", "-w")


class CommandError(Exception):
    """A command failed: what was run and what it said."""


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface; `interface_id` is that of an XFRM interface, otherwise 0."""

    name: str
    kind: str
    interface_id: int
    up: bool


def run(command: Command, text: str | None = None) -> str:
    """What the command prints. Raises CommandError where it fails."""
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command)}: not done within {_SECONDS} s") from error
    if done.returncode != 0:
        raise CommandError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def make(received: int | None) -> None:
    """Gives the namespace its name in this container: the one received, or a new one."""
    # the volume outlives a killed container, what was mounted on this file does not
    PATH.unlink(missing_ok=True)
    if received is None:
        run(("ip", "netns", "add", NAME))
        return
    # the shell is in the namespace, and stays the same process when it becomes `ip`
    enter = ("nsenter", f"--net=/proc/{os.getpid()}/fd/{received}")
    run((*enter, "sh", "-c", f'exec ip netns attach {NAME} "$$"'))


def is_named(held: int) -> bool:
    """Whether the name still stands for the namespace of this descriptor: `ip netns delete` takes only the name."""
    try:
        return os.path.samestat(os.stat(PATH), os.fstat(held))
    except FileNotFoundError:
        return False


def links(inside: bool) -> dict[str, Link]:
    """The interfaces of the namespace, or of the host."""
    where = _WITHIN if inside else ("ip",)
    return parse_links(run((*where, "-json", "-details", "link", "show")))


def parse_links(text: str) -> dict[str, Link]:
    """The interfaces in `ip -json -details link show`."""
    found = {}
    for item in json.loads(text or "[]"):
        info = item.get("linkinfo", {})
        number = int(str(info.get("info_data", {}).get("if_id", "0")), 16)
        up = "UP" in item.get("flags", [])
        found[item["ifname"]] = Link(item["ifname"], info.get("info_kind", ""), number, up)
    return found


def build(gateway: Gateway) -> None:
    """Makes whatever is missing, and sets everything as it must be; harmless where all is well.

    Interfaces of tunnels are made down: they follow their tunnel's state.
    """
    for command in creation(gateway, links(inside=False), links(inside=True)):
        run(command)
    for command in setting(gateway):
        run(command)
    run(("nsenter", f"--net={PATH}", "nft", "-f", "-"), ruleset(gateway))
    run(("nft", "-f", "-"), guard(gateway))


def unguard() -> None:
    """Takes the node's packet filter away."""
    run(("nft", "-f", "-"), _NO_TABLE)


def guard(gateway: Gateway) -> str:
    """The packet filter of the node's own namespace: what comes out of the tunnels goes to nodes inside VXLAN only.

    What has no way there, such as the address of a pod that is no more, would take the default route in clear text.
    """
    return f"""{_NO_TABLE}table ip tunnelfleet {{
  chain forward {{
    type filter hook forward priority filter; policy accept
    iifname "{HOST_END}" oifname "{gateway.node_interface}" counter drop
  }}
}}
"""


def creation(gateway: Gateway, host: dict[str, Link], inside: dict[str, Link]) -> Iterator[Command]:
    """Commands that make the interfaces that are not there."""
    if not (HOST_END in host and INNER_END in inside):
        # what an older namespace left, still being removed by the kernel
        if HOST_END in host:
            yield ("ip", "link", "delete", HOST_END)
        if INNER_END in inside:
            yield (*_WITHIN, "link", "delete", INNER_END)
        yield ("ip", "link", "add", HOST_END, "type", "veth", "peer", "name", INNER_END, "netns", NAME)
    for tunnel in gateway.tunnels:
        name, number = tunnel.interface, tunnel.interface_id
        if name in inside and inside[name].interface_id == number:
            continue
        if name in inside:
            yield (*_WITHIN, "link", "delete", name)
        if name in host:
            yield ("ip", "link", "delete", name)
        yield ("ip", "link", "add", name, "type", "xfrm", "if_id", str(number))
        yield ("ip", "link", "set", name, "netns", NAME)


def setting(gateway: Gateway) -> Iterator[Command]:
    """Commands that give the interfaces their settings; they can be repeated."""
    within = ("nsenter", f"--net={PATH}")
    yield (*within, *_SYSCTL, *_INNER_SYSCTLS)
    yield (*_SYSCTL, *_HOST_SYSCTLS)
    yield ("ip", "address", "replace", str(HOST_ADDRESS), "dev", HOST_END)
    yield ("ip", "link", "set", HOST_END, "up")
    yield (*_WITHIN, "link", "set", "lo", "up")
    yield (*_WITHIN, "address", "replace", str(INNER_ADDRESS), "dev", INNER_END)
    yield (*_WITHIN, "link", "set", INNER_END, "up")
    for network in gateway.local:
        yield (*_WITHIN, "route", "replace", str(network), "via", str(HOST_ADDRESS.ip), "dev", INNER_END)
    for tunnel in gateway.tunnels:
        yield (*_WITHIN, "address", "replace", str(tunnel.address), "dev", tunnel.interface)
        yield (*_WITHIN, "link", "set", tunnel.interface, "mtu", str(tunnel.mtu))


def switch(tunnel: Tunnel, up: bool) -> Command:
    """The command that sets a tunnel's interface up or down."""
    return (*_WITHIN, "link", "set", tunnel.interface, "up" if up else "down")


def ruleset(gateway: Gateway) -> str:
    """The packet filter, for `nft -f`: it replaces an older one in one step.

    Forwarded is what the inventory says and nothing else: between the cluster's ranges and what a site may announce,
    through that site's tunnels. Segments of TCP fit the tunnel in both directions, whatever becomes of ICMP.
    """
    lines = [
        _NO_TABLE + "table ip tunnelfleet {",
        _set("local", [str(network) for network in gateway.local]),
        *(_set(tunnel.interface, [str(network) for network in tunnel.accepted]) for tunnel in gateway.tunnels),
        "  chain input {",
        "    type filter hook input priority filter; policy drop",
        '    iifname "lo" accept',
        "    ip protocol icmp accept",
        *_peer(INNER_END, str(HOST_ADDRESS.ip)),
        *(rule for tunnel in gateway.tunnels for rule in _peer(tunnel.interface, str(tunnel.peer))),
        '    counter comment "refused"',
        "  }",
        "  chain forward {",
        "    type filter hook forward priority filter; policy drop",
        *(rule for tunnel in gateway.tunnels for rule in _segments(tunnel)),
        *(rule for tunnel in gateway.tunnels for rule in _passing(tunnel)),
        '    counter comment "refused"',
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _set(name: str, networks: list[str]) -> str:
    return f"  set {name} {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {', '.join(networks)} }} }}"


def _peer(interface: str, address: str) -> Iterator[str]:
    """BGP and BFD (RFC 5881: UDP port 3784) with one neighbour."""
    origin = f'    iifname "{interface}" ip saddr {address}'
    yield f"{origin} tcp dport 179 accept"
    yield f"{origin} tcp sport 179 accept"
    yield f"{origin} udp dport 3784 accept"


def _segments(tunnel: Tunnel) -> Iterator[str]:
    for way in ("iifname", "oifname"):
        yield f'    {way} "{tunnel.interface}" tcp flags syn tcp option maxseg size set {tunnel.mss}'


def _passing(tunnel: Tunnel) -> Iterator[str]:
    name = tunnel.interface
    inwards = f'    iifname "{name}" oifname "{INNER_END}" ip daddr @local'
    outwards = f'    iifname "{INNER_END}" oifname "{name}" ip daddr @{name}'
    # a router on the way may answer with an error from an address of its own
    errors = "icmp type { destination-unreachable, time-exceeded, parameter-problem }"
    yield f"{inwards} ip saddr @{name} accept"
    yield f"{inwards} {errors} accept"
    yield f"{outwards} ip saddr @local accept"
    yield f"{outwards} {errors} accept"
