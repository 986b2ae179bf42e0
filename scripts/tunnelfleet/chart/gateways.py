"""The gateways, of which the chart knew only the nodes and their internal addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from tunnelfleet.chart.notes import NoteKind, Notes
from tunnelfleet.chart.reading import UNKNOWN_ADDRESS, Marked, address_of, mark_address
from tunnelfleet.chart.values import SAMPLE_NODE, ChartTunnel, ChartValues
from tunnelfleet.inventory.writing import letters

UNKNOWN_NODE = "UNKNOWN"
_NODES = "`kubectl get nodes -o wide` shows it"


@dataclass(frozen=True, slots=True)
class ImportedGateway:
    """A gateway for cluster.yaml."""

    name: str
    node: Marked
    internal_ip: Marked
    public_ip: Marked


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """The gateways, and for each of the chart's tunnels the name of its gateway."""

    gateways: tuple[ImportedGateway, ...]
    of_tunnel: tuple[str, ...]


def plan_gateways(
    values: ChartValues, nodes: Sequence[IPv4Network], public_ips: Mapping[str, str], notes: Notes
) -> GatewayPlan:
    """One gateway for each node, named a, b, ... in the order of the tunnels."""
    first: dict[str, ChartTunnel] = {}
    owners: list[str] = []
    for index, tunnel in enumerate(values.tunnels):
        owner = tunnel.node.text or tunnel.internal_ip.text or f"tunnel {index}"
        if owner in first and tunnel.internal_ip.text != first[owner].internal_ip.text:
            message = f"node {owner} has another internalIP here than at {first[owner].internal_ip.location}"
            notes.add(NoteKind.WRONG, tunnel.internal_ip.location, message, f"the first is kept; {_NODES}")
        first.setdefault(owner, tunnel)
        owners.append(owner)
    names = {owner: letters(index) for index, owner in enumerate(first)}
    _note_numbers(values, names, public_ips, notes)
    gateways = tuple(
        _gateway(names[owner], tunnel, nodes, public_ips.get(names[owner]), notes) for owner, tunnel in first.items()
    )
    return GatewayPlan(gateways, tuple(names[owner] for owner in owners))


def _note_numbers(values: ChartValues, names: Mapping[str, str], public_ips: Mapping[str, str], notes: Notes) -> None:
    if len(names) < 2:
        found = f"{len(names)} node" + ("" if len(names) == 1 else "s")
        message = f"the tunnels stand on {found}, cluster.yaml needs two gateways on distinct nodes"
        notes.add(NoteKind.WRONG, values.location, message, "add gateways and their tunnels to cluster.yaml")
    for name in sorted(set(public_ips) - set(names.values())):
        there = ", ".join(names.values()) or "none"
        message = f"--public-ip {name}=...: there is no gateway {name}"
        notes.add(NoteKind.WRONG, values.location, message, f"the gateways are: {there}")


def _gateway(
    name: str, tunnel: ChartTunnel, nodes: Sequence[IPv4Network], public_ip: str | None, notes: Notes
) -> ImportedGateway:
    return ImportedGateway(
        name, _node(name, tunnel, notes), _internal(tunnel, nodes, notes), _public(name, tunnel, public_ip, notes)
    )


def _node(name: str, tunnel: ChartTunnel, notes: Notes) -> Marked:
    node = tunnel.node
    if node.text is None:
        notes.add(NoteKind.UNKNOWN, node.location, "nodeName is missing", "`kubectl get nodes` shows it")
        return Marked(f"{UNKNOWN_NODE}-{name}", "nodeName was missing; `kubectl get nodes` shows it")
    if node.text.startswith(SAMPLE_NODE):
        message = f"nodeName {node.text} looks like the chart's sample value"
        notes.add(NoteKind.WRONG, node.location, message, "`kubectl get nodes` shows the real name")
        return Marked(node.text, "looks like the chart's sample value; compare with `kubectl get nodes`")
    return Marked(node.text)


def _internal(tunnel: ChartTunnel, nodes: Sequence[IPv4Network], notes: Notes) -> Marked:
    value = tunnel.internal_ip
    marked = mark_address(value, "internalIP", _NODES, notes)
    address = address_of(value.text)
    if address is None or not nodes or any(address in network for network in nodes):
        return marked
    ranges = " or ".join(str(network) for network in nodes)
    message = f"internalIP {address} is not in the nodes' range {ranges}"
    notes.add(NoteKind.WRONG, value.location, message, f"write the node's address; {_NODES}")
    return Marked(str(address), f"not in the nodes' range {ranges}; {_NODES}")


def _public(name: str, tunnel: ChartTunnel, public_ip: str | None, notes: Notes) -> Marked:
    if public_ip is not None:
        return Marked(public_ip)
    message = f"the public address of gateway {name} is unknown: what the chart calls publicIP is the peer's"
    hint = f"import with --public-ip {name}=ADDRESS, or write it in place of {UNKNOWN_ADDRESS}"
    notes.add(NoteKind.UNKNOWN, tunnel.location, message, hint)
    return Marked(UNKNOWN_ADDRESS, "unknown; write the address that the remote site sees this node as")
