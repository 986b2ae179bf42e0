"""What each kind of remote VPN gateway expects: the one place where these numbers stand.

A profile's value that a network needs otherwise is overridden per remote under `overrides` in the inventory.
Every field says its unit in its docstring; `sources` says where each value comes from, and a test keeps the
two complete. docs/profiles.md is generated from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from tunnelfleet.inventory.model import Bfd, Initiator, Overrides, ProfileName, Remote

LINK_LOCAL = IPv4Network("169.254.0.0/16")
# Used on every node: the veth pair ss0 with the next hop beside it, and the routes' stand-in neighbour.
RESERVED_INSIDE = (IPv4Network("169.254.100.0/29"), IPv4Network("169.254.179.179/32"))
VXLAN_OVERHEAD = 50
"""Bytes that the overlay adds to a packet (RFC 7348: 8 + UDP 8 + IPv4 20 + Ethernet 14)."""
TCP_IP_HEADERS = 40
"""Bytes of an IPv4 and a TCP header without options (RFC 9293, section 3.7.1): MTU minus this is the MSS."""


@dataclass(frozen=True, slots=True)
class AsRange:
    """AS numbers from `first` to `last`, both included."""

    first: int
    last: int

    def __contains__(self, asn: int) -> bool:
        return self.first <= asn <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of remote VPN gateway."""

    name: ProfileName
    title: str
    ike_proposals: tuple[str, ...]
    """IKE proposals in strongSwan's notation, the preferred first."""
    esp_proposals: tuple[str, ...]
    """ESP proposals in strongSwan's notation, the preferred first."""
    ike_lifetime: int
    """Seconds that an IKE SA lives at most."""
    esp_lifetime: int
    """Seconds that a CHILD SA lives at most."""
    dpd_delay: int
    """Seconds of silence until the peer is asked whether it is alive."""
    replay_window: int
    """Packets of the anti-replay window."""
    initiator: Initiator
    """Who starts IKE: local, remote or either."""
    keepalive: int
    """BGP keepalive in seconds."""
    hold: int
    """BGP hold time in seconds."""
    bfd: Bfd | None
    """BFD with the remote router, None where it does not speak it."""
    maximum_prefixes: int
    """Prefixes taken from the site before the session is closed."""
    maximum_advertised: int | None
    """Prefixes that the site takes, None where no limit is known."""
    inside_allowed: tuple[IPv4Network, ...]
    """Ranges that the addresses inside tunnels may come from."""
    inside_refused: tuple[IPv4Network, ...]
    """Ranges that the site refuses for addresses inside tunnels."""
    remote_asns: tuple[AsRange, ...]
    """AS numbers that the site can have."""
    local_asns_refused: tuple[AsRange, ...]
    """AS numbers that the site does not take from its peers."""
    mtu: int
    """Bytes of the largest IP packet that is sent into the tunnel."""
    key_pattern: str
    """Pre-shared keys that the site takes, as a regular expression for the whole key."""
    sources: dict[str, str] = field(default_factory=dict, compare=False)
    """Where each value comes from: the field's name -> document and section."""

    @property
    def mss(self) -> int:
        """Bytes of the largest TCP segment through the tunnel."""
        return self.mtu - TCP_IP_HEADERS

    def accepts_key(self, key: str) -> bool:
        """Whether the site takes this pre-shared key."""
        return re.fullmatch(self.key_pattern, key) is not None


def effective(remote: Remote) -> Profile:
    """The remote's profile with what the inventory overrides for this remote."""
    changes = {
        name: _as_in_profile(value)
        for name in Overrides.model_fields
        if (value := getattr(remote.overrides, name)) is not None
    }
    return replace(PROFILES[remote.profile], **changes)


def _as_in_profile(value: Any) -> Any:
    """A value of the inventory in the form that a profile keeps it in."""
    if value is False:
        return None
    if isinstance(value, IPv4Interface):
        return value.network
    return tuple(_as_in_profile(item) for item in value) if isinstance(value, list) else value


def _profile(name: ProfileName, title: str, **facts: tuple[Any, str]) -> Profile:
    """A profile from its values, each beside its source."""
    values = {key: value for key, (value, _) in facts.items()}
    sources = {key: source for key, (_, source) in facts.items()}
    return Profile(name=name, title=title, sources=sources, **values)


def _networks(*texts: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(text) for text in texts)


def _asns(*numbers: int | tuple[int, int]) -> tuple[AsRange, ...]:
    return tuple(AsRange(n, n) if isinstance(n, int) else AsRange(*n) for n in numbers)


_PRIVATE_ASNS = ((64512, 65534), (4200000000, 4294967294))

_OURS = "our own choice"
_AEAD = f"{_OURS}: AES-GCM and the 384-bit curve, as the clouds take them (RFC 5282, RFC 4106, RFC 5903)"
_MTU = (
    f"{_OURS}: fits a path of 1,460 bytes, since AES-GCM in UDP adds 20 + 8 + 8 + 8 + 16 + 2, padded to 4 "
    "(RFC 3948, section 2.1; RFC 4303, section 2; RFC 4106, sections 3 and 6)"
)
_DPD = f"{_OURS}: either side may ask at any time (RFC 7296, section 2.4), and a dead peer is noticed in seconds"
_REPLAY = f"{_OURS}: at 1 Gb/s and more, packets overtake each other by hundreds (RFC 4303, section 3.4.3)"
_CEILING = f"{_OURS}: a ceiling on mistakes; the site may announce as many as it likes"
_METADATA = "169.254.169.254 is the metadata server"

_CIPHERS = "Google Cloud VPN, Supported IKE ciphers"
_ROUTER = "Google Cloud Router"
_TUNNEL = "AWS Site-to-Site VPN User Guide, Tunnel options"
_QUOTAS = "AWS Site-to-Site VPN User Guide, Quotas, Routes"
_POLICY = "Azure VPN Gateway, About cryptographic requirements, Custom IPsec/IKE policy"
_DEVICES = "Azure VPN Gateway, About VPN devices and IPsec/IKE parameters"
_FAQ = "Azure VPN Gateway FAQ"
_FAQ_BFD = f"{_FAQ}, Does the virtual network gateway support BFD for S2S connections with BGP?"
_FAQ_ASN = f"{_FAQ}, What ASNs can I use?"

_PROFILES = (
    _profile(
        "gcp-ha-vpn",
        "Google Cloud HA VPN",
        ike_proposals=(
            ("aes256gcm16-prfsha384-ecp384",),
            f"{_CIPHERS}, IKEv2 ciphers that use AEAD, Phase 1; one cipher per role (Proposal order)",
        ),
        esp_proposals=(
            ("aes256gcm16-ecp384",),
            f"{_CIPHERS}, IKEv2 ciphers that use AEAD, Phase 2; one cipher per role (Proposal order)",
        ),
        ike_lifetime=(36000, f"{_CIPHERS}, IKEv2 ciphers that use AEAD, Phase 1 lifetime"),
        esp_lifetime=(10800, f"{_CIPHERS}, IKEv2 ciphers that use AEAD, Phase 2 lifetime"),
        dpd_delay=(5, _DPD),
        replay_window=(1024, _REPLAY),
        initiator=("either", f"{_CIPHERS}, Proposal order: Cloud VPN starts IKE or answers"),
        keepalive=(10, f"{_OURS}: a third of the hold time (RFC 4271, section 4.4)"),
        hold=(
            30,
            f"{_OURS}: the smaller hold time of the two sides counts, and Google's is at least 60 s "
            f"({_ROUTER}, Manage BGP timers; RFC 4271, section 4.2)",
        ),
        bfd=(
            None,
            f"{_ROUTER}, Bidirectional Forwarding Detection (BFD) overview, Limitations: not on HA VPN",
        ),
        maximum_prefixes=(1000, _CEILING),
        maximum_advertised=(
            5000,
            f"{_ROUTER}, Quotas and limits, Limits: prefixes accepted from one BGP peer; beyond them the "
            "session is reset. The quota of unique prefixes per region may be lower",
        ),
        inside_allowed=((LINK_LOCAL,), f"{_ROUTER}, Establish BGP sessions, BGP peering addresses"),
        inside_refused=(
            _networks("169.254.169.252/30"),
            f"{_OURS}: {_METADATA} (Compute Engine, VM metadata)",
        ),
        remote_asns=(
            _asns(*_PRIVATE_ASNS),
            f"{_ROUTER}, Create a Cloud Router: any private AS number; 16550 serves only Partner "
            "Interconnect (Establish BGP sessions)",
        ),
        local_asns_refused=((), f"{_ROUTER}, Create a Cloud Router: the peer's may be public or private"),
        mtu=(
            1398,
            "Google Cloud VPN, MTU considerations, Payload MTU: 1,406 with AEAD ciphers over IPv4, 8 less "
            "with NAT traversal",
        ),
        key_pattern=(
            r"[!-~]{20,128}",
            f"{_OURS}: no limit is documented; Google recommends 32 characters (Cloud VPN, Generate a strong "
            "pre-shared key)",
        ),
    ),
    _profile(
        "aws-vpn",
        "AWS Site-to-Site VPN",
        ike_proposals=(
            ("aes256gcm16-prfsha512-ecp384",),
            f"{_TUNNEL}, Phase 1: AES256-GCM-16, SHA2-512, Diffie-Hellman group 20",
        ),
        esp_proposals=(
            ("aes256gcm16-ecp384",),
            f"{_TUNNEL}, Phase 2: AES256-GCM-16, Diffie-Hellman group 20",
        ),
        ike_lifetime=(28800, f"{_TUNNEL}, Phase 1 lifetime: 900 to 28,800 s, default 28,800"),
        esp_lifetime=(3600, f"{_TUNNEL}, Phase 2 lifetime: 900 to 3,600 s, default 3,600"),
        dpd_delay=(5, _DPD),
        replay_window=(1024, f"{_TUNNEL}, Replay window size: 64 to 2,048 packets, default 1,024"),
        initiator=("local", f"{_TUNNEL}, Startup action: default Add, the customer gateway starts IKE"),
        keepalive=(10, "AWS Site-to-Site VPN, downloaded configuration file for Cisco IOS: timers 10 30 30"),
        hold=(30, "AWS Site-to-Site VPN, downloaded configuration file for Cisco IOS: timers 10 30 30"),
        bfd=(None, f"{_OURS}: BFD is not documented for Site-to-Site VPN, so none is assumed"),
        maximum_prefixes=(1000, f"{_QUOTAS}: advertised from a connection to a customer gateway device"),
        maximum_advertised=(
            100,
            f"{_QUOTAS}: dynamic routes advertised from a customer gateway device; cannot be increased",
        ),
        inside_allowed=((LINK_LOCAL,), f"{_TUNNEL}, Inside tunnel IPv4 CIDR: a /30 of 169.254.0.0/16"),
        inside_refused=(
            _networks(*(f"169.254.{third}.0/30" for third in range(6)), "169.254.169.252/30"),
            f"{_TUNNEL}, Inside tunnel IPv4 CIDR: reserved blocks",
        ),
        remote_asns=(
            _asns(7224, 9059, 10124, 17493, *_PRIVATE_ASNS),
            "Amazon EC2 API Reference, TransitGatewayRequestOptions, AmazonSideAsn: private; Amazon VPC "
            "FAQs, Amazon side ASN: legacy numbers of gateways made before July 2018",
        ),
        local_asns_refused=(
            _asns(7224, 9059, 10124, 17943),
            "Amazon EC2 API Reference, CreateCustomerGateway, BgpAsn: reserved, each in one region",
        ),
        mtu=(
            1398,
            f"{_MTU}; AWS takes up to 1,438 (User Guide, Best practices for your customer gateway device)",
        ),
        key_pattern=(r"(?!0)[A-Za-z0-9._]{8,64}", f"{_TUNNEL}, Pre-shared key (PSK)"),
    ),
    _profile(
        "azure-vpn",
        "Azure VPN Gateway (route-based)",
        ike_proposals=(("aes256gcm16-prfsha384-ecp384",), f"{_POLICY}: IKE GCMAES256, SHA384, ECP384"),
        esp_proposals=(("aes256gcm16-ecp384",), f"{_POLICY}: IPsec GCMAES256, PFS group ECP384"),
        ike_lifetime=(28800, f"{_DEVICES}, IKE Phase 1 (Main Mode) parameters"),
        esp_lifetime=(27000, f"{_DEVICES}, IKE Phase 2 (Quick Mode) parameters"),
        dpd_delay=(5, _DPD),
        replay_window=(1024, _REPLAY),
        initiator=(
            "either",
            "Azure REST API, Virtual Network Gateway Connections, connectionMode: Default, not InitiatorOnly "
            "or ResponderOnly",
        ),
        keepalive=(60, f"{_FAQ_BFD} Timers below the default of 60 and 180 s are not reliable"),
        hold=(180, f"{_FAQ_BFD} Timers below the default of 60 and 180 s are not reliable"),
        bfd=(None, f"{_FAQ_BFD} No"),
        maximum_prefixes=(4000, f"{_OURS}: as many as the gateway takes from us"),
        maximum_advertised=(
            4000,
            f"{_FAQ}, How many prefixes can I advertise? The session is dropped beyond 4,000",
        ),
        inside_allowed=(
            _networks("169.254.21.0/24", "169.254.22.0/24"),
            "Azure VPN Gateway, Configure BGP, Azure APIPA BGP IP address: 169.254.21.0 to 169.254.22.255 in "
            "the public cloud",
        ),
        inside_refused=((), f"{_OURS}: within the range allowed, none is documented as refused"),
        remote_asns=(
            _asns(
                (1, 8073),
                (8076, 12075),
                (12077, 23455),
                (23457, 64495),
                (64512, 65515),
                (65521, 65534),
                (65552, 4294967294),
            ),
            f"{_FAQ_ASN} Public, private or 32-bit, none that Azure or IANA reserves but the default 65515",
        ),
        local_asns_refused=(
            _asns((8074, 8075), 12076, 23456, (64496, 64511), (65515, 65520), (65535, 65551)),
            f"{_FAQ_ASN} Reserved by Azure or IANA; What private ASNs can I use? 65516 is not among them",
        ),
        mtu=(1390, f"{_DEVICES}: clamp TCP MSS at 1,350; with headers of 40"),
        key_pattern=(
            r"[!-,.-}]{1,128}",
            f"{_FAQ}, Does Azure generate the same IPsec/IKE pre-shared key? Printable ASCII but space, "
            "hyphen and tilde. Azure REST API, Reset Shared Key, keyLength: 1 to 128",
        ),
    ),
    _profile(
        "generic",
        "Any IKEv2 and BGP router, such as strongSwan with FRR",
        ike_proposals=(("aes256gcm16-prfsha384-ecp384",), _AEAD),
        esp_proposals=(("aes256gcm16-ecp384",), _AEAD),
        ike_lifetime=(28800, f"{_OURS}: a working day"),
        esp_lifetime=(3600, f"{_OURS}: an hour"),
        dpd_delay=(5, _DPD),
        replay_window=(1024, _REPLAY),
        initiator=("either", f"{_OURS}: whoever is up first"),
        keepalive=(3, f"{_OURS}: a third of the hold time (RFC 4271, section 4.4)"),
        hold=(9, f"{_OURS}: the backstop behind BFD"),
        bfd=(
            Bfd(interval=300, multiplier=3),
            "FRR manual, BFD: the defaults of the intervals and the multiplier",
        ),
        maximum_prefixes=(1000, _CEILING),
        maximum_advertised=(None, f"{_OURS}: no limit is known"),
        inside_allowed=((LINK_LOCAL,), "RFC 3927, section 2.1: link-local"),
        inside_refused=((), f"{_OURS}: none is known to be refused"),
        remote_asns=(
            _asns((1, 4294967294)),
            "RFC 6793; 0 and the last one are reserved (RFC 7607, RFC 7300)",
        ),
        local_asns_refused=((), f"{_OURS}: none is known to be refused"),
        mtu=(1398, _MTU),
        key_pattern=(r"[!-~]{20,128}", f"{_OURS}: long enough not to be guessed from a captured handshake"),
    ),
)
PROFILES: dict[ProfileName, Profile] = {profile.name: profile for profile in _PROFILES}
"""The four profiles by name."""
