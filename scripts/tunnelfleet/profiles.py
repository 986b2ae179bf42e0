"""What each kind of remote VPN gateway expects: the one place where these numbers stand.

A profile's value that a network needs otherwise is overridden per remote under `overrides` in the inventory.
Every field says its unit in its docstring; `sources` says where each value comes from, and a test keeps the two
complete. docs/profiles.md is generated from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from typing import Any

from tunnelfleet.inventory.model import Bfd, Overrides, ProfileName, Remote

LINK_LOCAL = IPv4Network("169.254.0.0/16")
# Used on every node: the veth pair ss0 with the next hop beside it, and the routes' stand-in neighbour.
RESERVED_INSIDE = (IPv4Network("169.254.100.0/29"), IPv4Network("169.254.179.179/32"))
VXLAN_OVERHEAD = 50
"""Bytes that the overlay adds to a packet (RFC 7348: 8 + UDP 8 + IPv4 20 + Ethernet 14)."""
TCP_IP_HEADERS = 40
"""Bytes of an IPv4 and a TCP header without options (RFC 879): MTU minus this is the MSS."""


@dataclass(frozen=True, slots=True)
class AsRange:
    """AS numbers from `first` to `last`, both included."""

    first: int
    last: int

    def __contains__(self, asn: int) -> bool:
        return self.first <= asn <= self.last

    def __str__(self) -> str:
        return (
            str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        )


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
    initiator: str
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

    @property
    def mss(self) -> int:
        """Bytes of the largest TCP segment through the tunnel."""
        return self.mtu - TCP_IP_HEADERS

    def accepts_key(self, key: str) -> bool:
        """Whether the site takes this pre-shared key."""
        return re.fullmatch(self.key_pattern, key) is not None


def effective(remote: Remote) -> Profile:
    """The remote's profile with what the inventory overrides for this remote."""
    changes: dict[str, Any] = {}
    for name in Overrides.model_fields:
        value = getattr(remote.overrides, name)
        if value is not None:
            changes[name] = tuple(value) if isinstance(value, list) else value
    if changes.get("bfd") is False:
        changes["bfd"] = None
    return replace(PROFILES[remote.profile], **changes)


def _profile(name: ProfileName, title: str, **facts: tuple[Any, str]) -> Profile:
    """A profile from its values, each beside its source."""
    values = {key: value for key, (value, _) in facts.items()}
    return Profile(
        name=name,
        title=title,
        sources={key: source for key, (_, source) in facts.items()},
        **values,
    )


def _networks(*texts: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(text) for text in texts)


_PRIVATE_ASNS = (AsRange(64512, 65534), AsRange(4200000000, 4294967294))
_ANY_ASN = (AsRange(1, 4294967294),)
_OURS = "tunnelfleet's choice"
_MTU = "AES-GCM in UDP adds 20+8+8+8+16+2 bytes and padding (RFC 4303, RFC 3948); fits a path of 1460 bytes"
_DPD = f"{_OURS}: a dead peer is noticed within seconds, and either side may ask as often as it likes (RFC 3706)"
_REPLAY = f"{_OURS}: at 1 Gb/s packets overtake each other by hundreds (RFC 4303, section 3.4.3)"
_RFC6890 = "RFC 6890: link-local; RFC 3927"

_PROFILES = (
    _profile(
        "gcp-ha-vpn",
        "Google Cloud HA VPN",
        ike_proposals=(
            ("aes256gcm16-prfsha384-ecp384",),
            "Google Cloud VPN: supported IKE ciphers; one cipher per role",
        ),
        esp_proposals=(
            ("aes256gcm16-ecp384",),
            "Google Cloud VPN: supported IKE ciphers; one cipher per role",
        ),
        ike_lifetime=(
            36000,
            "Google Cloud VPN: supported IKE ciphers, phase 1 lifetime",
        ),
        esp_lifetime=(
            10800,
            "Google Cloud VPN: supported IKE ciphers, phase 2 lifetime",
        ),
        dpd_delay=(5, _DPD),
        replay_window=(1024, _REPLAY),
        initiator=("either", "Google Cloud VPN: both sides may start IKE"),
        keepalive=(
            10,
            "Google Cloud Router: keepalive 20-60 s, the smaller hold time wins (RFC 4271, section 4.2)",
        ),
        hold=(
            30,
            "Google Cloud Router: hold is three keepalives, the smaller one wins (RFC 4271, section 4.2)",
        ),
        bfd=(None, "Google Cloud Router: BFD is not supported on HA VPN tunnels"),
        maximum_prefixes=(1000, _OURS),
        maximum_advertised=(None, "Google Cloud Router: quotas and limits"),
        inside_allowed=(
            (LINK_LOCAL,),
            "Google Cloud Router: a /30 of 169.254.0.0/16, unique in the VPC network",
        ),
        inside_refused=(
            _networks("169.254.169.252/30"),
            "Google Cloud: 169.254.169.254 is the metadata server",
        ),
        remote_asns=(
            (AsRange(16550, 16550), *_PRIVATE_ASNS),
            "Google Cloud Router: private AS numbers, or 16550",
        ),
        local_asns_refused=((), "Google Cloud Router: any AS number as the peer's"),
        mtu=(
            1398,
            "Google Cloud VPN: MTU considerations; 1398 with NAT traversal on a gateway MTU of 1460",
        ),
        key_pattern=(r"[!-~]{20,128}", _OURS),
    ),
    _profile(
        "aws-vpn",
        "AWS Site-to-Site VPN",
        ike_proposals=(
            ("aes256gcm16-prfsha512-ecp384",),
            "AWS Site-to-Site VPN: tunnel options, phase 1",
        ),
        esp_proposals=(
            ("aes256gcm16-ecp384",),
            "AWS Site-to-Site VPN: tunnel options, phase 2",
        ),
        ike_lifetime=(
            28800,
            "AWS Site-to-Site VPN: tunnel options, phase 1 lifetime 900-28,800 s",
        ),
        esp_lifetime=(
            3600,
            "AWS Site-to-Site VPN: tunnel options, phase 2 lifetime 900-3,600 s",
        ),
        dpd_delay=(5, _DPD),
        replay_window=(
            1024,
            "AWS Site-to-Site VPN: tunnel options, replay window 64-2,048, default 1,024",
        ),
        initiator=(
            "local",
            "AWS Site-to-Site VPN: start-up action Add, the customer gateway starts IKE",
        ),
        keepalive=(10, "AWS Site-to-Site VPN: sample configurations use 10 and 30 s"),
        hold=(30, "AWS Site-to-Site VPN: sample configurations use 10 and 30 s"),
        bfd=(None, "AWS Site-to-Site VPN: BFD is not documented, so none is assumed"),
        maximum_prefixes=(
            1000,
            "AWS Site-to-Site VPN: quotas, 1,000 routes from AWS to the customer gateway",
        ),
        maximum_advertised=(
            100,
            "AWS Site-to-Site VPN: quotas, 100 dynamic routes from a customer gateway",
        ),
        inside_allowed=(
            (LINK_LOCAL,),
            "AWS Site-to-Site VPN: tunnel options, a /30 of 169.254.0.0/16",
        ),
        inside_refused=(
            _networks(
                *(f"169.254.{third}.0/30" for third in range(6)), "169.254.169.252/30"
            ),
            "AWS Site-to-Site VPN: tunnel options, reserved ranges",
        ),
        remote_asns=(
            _ANY_ASN,
            "AWS Site-to-Site VPN: any AS number for the AWS side, default 64512",
        ),
        local_asns_refused=(
            (),
            "AWS Site-to-Site VPN: any public or private AS number",
        ),
        mtu=(1398, _MTU),
        key_pattern=(
            r"(?!0)[A-Za-z0-9._]{8,64}",
            "AWS Site-to-Site VPN: tunnel options, pre-shared key",
        ),
    ),
    _profile(
        "azure-vpn",
        "Azure VPN Gateway (route-based)",
        ike_proposals=(
            ("aes256gcm16-prfsha384-ecp384",),
            "Azure VPN Gateway: cryptographic requirements, GCMAES256/SHA384/ECP384",
        ),
        esp_proposals=(
            ("aes256gcm16-ecp384",),
            "Azure VPN Gateway: cryptographic requirements, GCMAES256, PFS ECP384",
        ),
        ike_lifetime=(
            28800,
            "Azure VPN Gateway: IPsec/IKE parameters, main mode 28,800 s",
        ),
        esp_lifetime=(
            27000,
            "Azure VPN Gateway: IPsec/IKE parameters, quick mode 27,000 s",
        ),
        dpd_delay=(5, _DPD),
        replay_window=(1024, _REPLAY),
        initiator=(
            "local",
            "Azure VPN Gateway: with link-local BGP addresses the customer's side starts BGP",
        ),
        keepalive=(60, "Azure VPN Gateway: BGP timers are fixed at 60 and 180 s"),
        hold=(180, "Azure VPN Gateway: BGP timers are fixed at 60 and 180 s"),
        bfd=(None, "Azure VPN Gateway: BGP FAQ, BFD is not supported"),
        maximum_prefixes=(4000, _OURS),
        maximum_advertised=(
            4000,
            "Azure VPN Gateway: BGP FAQ, the session is dropped beyond 4,000 prefixes",
        ),
        inside_allowed=(
            _networks("169.254.21.0/24", "169.254.22.0/24"),
            "Azure VPN Gateway: APIPA 169.254.21.0-169.254.22.255",
        ),
        inside_refused=((), "Azure VPN Gateway: none within the allowed range"),
        remote_asns=(
            (AsRange(64512, 65515), AsRange(65521, 65534)),
            "Azure VPN Gateway: default 65515, private AS numbers that Azure does not reserve",
        ),
        local_asns_refused=(
            (
                AsRange(8074, 8075),
                AsRange(12076, 12076),
                AsRange(23456, 23456),
                AsRange(64496, 64511),
                AsRange(65515, 65515),
                AsRange(65517, 65520),
                AsRange(65535, 65551),
            ),
            "Azure VPN Gateway: BGP FAQ, reserved AS numbers",
        ),
        mtu=(1398, _MTU),
        key_pattern=(
            r"[!-~]{1,128}",
            "Azure VPN Gateway: FAQ, at most 128 printable ASCII characters",
        ),
    ),
    _profile(
        "generic",
        "Any IKEv2 and BGP router, such as strongSwan with FRR",
        ike_proposals=(
            ("aes256gcm16-prfsha384-ecp384",),
            f"{_OURS}: RFC 9206 (CNSA suite)",
        ),
        esp_proposals=(("aes256gcm16-ecp384",), f"{_OURS}: RFC 9206 (CNSA suite)"),
        ike_lifetime=(28800, _OURS),
        esp_lifetime=(3600, _OURS),
        dpd_delay=(5, _DPD),
        replay_window=(1024, _REPLAY),
        initiator=("either", f"{_OURS}: whoever is up first"),
        keepalive=(3, _OURS),
        hold=(9, f"{_OURS}: the backstop behind BFD"),
        bfd=(
            Bfd(interval=300, multiplier=3),
            "FRR manual, BFD: the defaults of interval and multiplier",
        ),
        maximum_prefixes=(1000, _OURS),
        maximum_advertised=(None, "no limit known"),
        inside_allowed=((LINK_LOCAL,), _RFC6890),
        inside_refused=((), "no range is known to be refused"),
        remote_asns=(_ANY_ASN, "RFC 4893, RFC 7607, RFC 7300"),
        local_asns_refused=((), "no AS number is known to be refused"),
        mtu=(1398, _MTU),
        key_pattern=(r"[!-~]{20,128}", _OURS),
    ),
)
PROFILES: dict[ProfileName, Profile] = {profile.name: profile for profile in _PROFILES}
