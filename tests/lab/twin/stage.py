"""What the twin is told: one cluster's inventory, its rendered manifests, and keys for it.

The machine that runs `make lab` writes it as JSON (host/staging.py); the twin needs nothing else of the repository.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..records import from_data


@dataclass(frozen=True, slots=True)
class Bfd:
    """What the site's routers ask of BFD: milliseconds, and how many packets may be lost."""

    interval: int
    multiplier: int


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One tunnel between a gateway and a site."""

    gateway: str
    """Name of the gateway."""
    connection: str
    """Name of the IKE connection at the gateway."""
    interface: str
    peer_address: str
    """The site's public address."""
    local_identity: str
    peer_identity: str
    inside_local: str
    inside_peer: str
    inside_cidr: str
    key: str
    """The pre-shared key itself; the Secrets hold the same."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote site, with what its profile says."""

    name: str
    profile: str
    """gcp-ha-vpn, aws-vpn, azure-vpn or generic."""
    asn: int
    accepted_cidrs: tuple[str, ...]
    tunnels: tuple[Tunnel, ...]
    bgp_password: str | None
    ike_proposals: tuple[str, ...]
    esp_proposals: tuple[str, ...]
    initiator: str
    """Who starts IKE: local, remote or either."""
    keepalive: int
    """Of our side, in seconds; the cloud's own is the simulated site's affair."""
    hold: int
    bfd: Bfd | None
    mtu: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway and its node."""

    name: str
    node: str
    internal_ip: str
    public_ip: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The inventory, with every default filled in."""

    name: str
    namespace: str
    node_interface: str
    nodes: tuple[str, ...]
    """Ranges of node addresses."""
    pods: tuple[str, ...]
    services: tuple[str, ...]
    advertised: tuple[str, ...]
    local_asn: int
    internal_asn: int
    gateways: tuple[Gateway, ...]
    remotes: tuple[Remote, ...]

    @property
    def accepted(self) -> tuple[str, ...]:
        """What any site may announce."""
        return tuple(dict.fromkeys(cidr for remote in self.remotes for cidr in remote.accepted_cidrs))


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that the twin is made from."""

    cluster: Cluster
    objects: tuple[dict[str, Any], ...]
    """The Kubernetes objects as `kustomize build` gives them."""
    secrets: dict[str, dict[str, str]]
    """Values by the Secret's name and key, as the pods will read them."""


def load(path: Path) -> Stage:
    """Reads stage.json. Raises ValueError or KeyError where it is not one."""
    return from_data(Stage, json.loads(path.read_text(encoding="utf-8")))
