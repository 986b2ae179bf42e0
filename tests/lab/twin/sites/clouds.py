"""How each profile's cloud behaves, as its documents say: written down apart from what tunnelfleet assumes of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..stage import Remote


@dataclass(frozen=True, slots=True)
class Retransmission:
    """When IKE gives up a request: after timeout * (base^(tries + 1) - 1) / (base - 1) seconds (strongswan.conf(5))."""

    timeout: float = 4.0
    base: float = 1.8
    tries: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a site's IPsec gateway and router do."""

    ike_proposals: tuple[str, ...]
    esp_proposals: tuple[str, ...]
    ike_lifetime: int
    """Seconds, as the next."""
    esp_lifetime: int
    initiates: bool
    """Starts IKE, and starts it again; one that does not waits for its peer."""
    dpd_delay: int
    """Seconds of silence until the peer is asked whether it is alive."""
    retransmission: Retransmission = Retransmission()
    inactivity: int | None = None
    """Seconds without traffic after which an SA is deleted."""
    replay_window: int = 1024
    keepalive: int
    hold: int
    minimum_hold: int = 3
    """A peer that asks for less is refused."""
    passive: bool = False
    """Waits for its peer's TCP connection."""
    graceful_restart: bool = False
    """Asks its peers to keep its routes while it restarts (RFC 4724)."""
    honours_graceful_shutdown: bool = False
    """Takes routes with community 65535:0 for its last choice (RFC 8326)."""
    maximum_prefixes: int | None = None
    """A peer that announces more loses its session."""
    med: int | None = None
    """Of what the site announces."""
    path_mtu: int = 1500
    """Bytes of the largest packet that reaches the site from the internet."""
    tunnel_mtu: int
    """Bytes of the largest packet that the site sends into a tunnel."""
    clamps_mss: bool = False


_GCM = ("aes256gcm16-prfsha384-ecp384",)
_GCM_ESP = ("aes256gcm16-ecp384",)

_GOOGLE = Behaviour(
    # Supported IKE ciphers: the same in both directions, one cipher per role
    ike_proposals=_GCM,
    esp_proposals=_GCM_ESP,
    ike_lifetime=36000,
    esp_lifetime=10800,
    initiates=True,
    dpd_delay=20,
    # Cloud Router, Manage BGP timers: keepalive 20 s, hold three times that
    keepalive=20,
    hold=60,
    graceful_restart=True,
    maximum_prefixes=5000,
    # Cloud Router: base priority of advertised routes
    med=100,
    # Cloud VPN, MTU considerations: gateway MTU 1460, MSS clamped
    path_mtu=1460,
    tunnel_mtu=1398,
    clamps_mss=True,
)

_AMAZON = Behaviour(
    # Tunnel options: what a tunnel takes that is not restricted further, of AES-GCM
    ike_proposals=tuple(
        f"aes256gcm16-prfsha{size}-{group}" for size in (512, 384, 256) for group in ("ecp384", "ecp256", "modp2048")
    ),
    esp_proposals=("aes256gcm16-ecp384", "aes256gcm16-ecp256", "aes256gcm16-modp2048"),
    ike_lifetime=28800,
    esp_lifetime=3600,
    # startup action Add, DPD timeout action Clear after 40 s
    initiates=False,
    dpd_delay=10,
    retransmission=Retransmission(timeout=6.0, base=1.0, tries=4),
    inactivity=30,
    keepalive=10,
    hold=30,
    maximum_prefixes=100,
    med=100,
    tunnel_mtu=1438,
)

_AZURE = Behaviour(
    # a custom IPsec/IKE policy: GCMAES256, SHA384, ECP384; PFS ECP384
    ike_proposals=_GCM,
    esp_proposals=_GCM_ESP,
    ike_lifetime=28800,
    esp_lifetime=27000,
    initiates=True,
    dpd_delay=45,
    # fixed: a session with other timers does not stay up
    keepalive=60,
    hold=180,
    minimum_hold=180,
    # with APIPA addresses the other side opens the session
    passive=True,
    maximum_prefixes=4000,
    tunnel_mtu=1400,
)


def behaviour(remote: Remote) -> Behaviour:
    """How this site behaves. Only a generic one follows the inventory, as its owner configures both ends.

    Raises KeyError for an unknown profile.
    """
    clouds = {"gcp-ha-vpn": _GOOGLE, "aws-vpn": _AMAZON, "azure-vpn": _AZURE, "generic": _own(remote)}
    return clouds[remote.profile]


def _own(remote: Remote) -> Behaviour:
    return Behaviour(
        ike_proposals=remote.ike_proposals,
        esp_proposals=remote.esp_proposals,
        ike_lifetime=28800,
        esp_lifetime=3600,
        initiates=remote.initiator != "local",
        dpd_delay=10,
        keepalive=remote.keepalive,
        hold=remote.hold,
        honours_graceful_shutdown=True,
        tunnel_mtu=remote.mtu,
    )
