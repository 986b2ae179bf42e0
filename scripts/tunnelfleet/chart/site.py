"""The remote site as far as the chart's values tell: its kind, its addresses and the /30 inside each tunnel."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from tunnelfleet.chart.notes import NoteKind, Notes
from tunnelfleet.chart.reading import UNKNOWN_ADDRESS, Marked, address_of, mark_address
from tunnelfleet.chart.values import SAMPLE_PEERS, ChartTunnel, ChartValues
from tunnelfleet.inventory.model import ProfileName
from tunnelfleet.profiles import PROFILES

# RFC 5737: addresses for documentation, which no site has.
_DOCUMENTATION = tuple(IPv4Network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))


@dataclass(frozen=True, slots=True)
class InsideAddresses:
    """The addresses inside one tunnel and the /30 that they should share."""

    local: Marked
    peer: Marked
    cidr: Marked


def mark_profile(values: ChartValues, asn: Marked, given: ProfileName | None, notes: Notes) -> tuple[ProfileName, str]:
    """The profile, and the remark where it is only a guess from the AS number and the inside addresses."""
    if given is not None:
        return given, ""
    texts = [value.text for tunnel in values.tunnels for value in (tunnel.inside_local, tunnel.inside_peer)]
    insides = [address for text in texts if (address := address_of(text)) is not None]
    profile, reason = _guess(asn.value if isinstance(asn.value, int) else 0, insides)
    message = f"the kind of remote VPN gateway is unknown; {profile} is a guess: {reason}"
    notes.add(NoteKind.UNKNOWN, values.peer_asn.location, message, "import with --profile, or correct `profile:`")
    return profile, f"guessed: {reason}"


def _guess(asn: int, insides: list[IPv4Address]) -> tuple[ProfileName, str]:
    if asn == 65515 and _fit("azure-vpn", insides):
        return "azure-vpn", "AS 65515 and these inside addresses are Azure's"
    if any(asn in numbers for numbers in PROFILES["gcp-ha-vpn"].remote_asns) and _fit("gcp-ha-vpn", insides):
        others = ", AWS has 64512 by default too" if asn == 64512 else ""
        return "gcp-ha-vpn", f"AS {asn} and the inside addresses fit Google Cloud{others}"
    return "generic", "the AS number or the inside addresses fit neither Google Cloud nor Azure"


def _fit(profile: ProfileName, insides: list[IPv4Address]) -> bool:
    allowed, refused = PROFILES[profile].inside_allowed, PROFILES[profile].inside_refused
    return all(
        any(address in network for network in allowed) and not any(address in network for network in refused)
        for address in insides
    )


def mark_peer(tunnel: ChartTunnel, own: Collection[str], notes: Notes) -> Marked:
    """The site's public address: what the chart called publicIP."""
    value = tunnel.peer_address
    marked = mark_address(value, "publicIP", "write the remote site's public address", notes)
    address = address_of(value.text)
    if address is None:
        return marked
    if value.text in own:
        problem = "a gateway's own public address: the tunnel would lead back to the cluster"
    elif value.text in SAMPLE_PEERS:
        problem = "the chart's sample value, no real peer"
    elif any(address in network for network in _DOCUMENTATION):
        problem = "an address for documentation (RFC 5737), no real peer"
    else:
        return marked
    hint = "write the remote site's public address"
    notes.add(NoteKind.WRONG, value.location, f"publicIP {address} is {problem}", hint)
    return Marked(str(address), f"{problem}; {hint}")


def mark_inside(tunnel: ChartTunnel, notes: Notes) -> InsideAddresses:
    """The addresses inside the tunnel, and the /30 of the gateway's one."""
    missing = "the remote site's configuration shows it"
    local = mark_address(tunnel.inside_local, "localTunnelIP", missing, notes)
    peer = mark_address(tunnel.inside_peer, "peerTunnelIP", missing, notes)
    ends = address_of(tunnel.inside_local.text), address_of(tunnel.inside_peer.text)
    known = ends[0] or ends[1]
    if known is None:
        return InsideAddresses(local, peer, Marked(f"{UNKNOWN_ADDRESS}/30", "unknown, as the addresses are"))
    network = IPv4Interface(f"{known}/30").network
    if None not in ends and {*ends} != {*network.hosts()}:
        message = f"{ends[0]} and {ends[1]} are not the two hosts of one /30"
        notes.add(NoteKind.WRONG, tunnel.inside_local.location, message, "take both from the remote site")
        return InsideAddresses(local, peer, Marked(str(network), message))
    return InsideAddresses(local, peer, Marked(str(network)))
