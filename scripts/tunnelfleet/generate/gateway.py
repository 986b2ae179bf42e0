"""The gateway's Deployment: its node and secrets, charon's and FRR's configuration, the settings of its programs."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import Any

from tunnelfleet.generate.files import Files, configuration, header, manifest
from tunnelfleet.generate.routes import NODE_BFD, PROTOCOL, Metric, within
from tunnelfleet.generate.topology import PlannedGateway, PlannedTunnel, Topology, networks
from tunnelfleet.inventory.model import Remote, SecretKey
from tunnelfleet.profiles import effective

NODE_ADDRESS = IPv4Address("169.254.100.1")
"""The node's end of ss0, where its own FRR is."""
SECRETS = "/run/swanctl/secrets.conf"
"""Where the gateway writes swanctl's secrets (base/strongswan/gateway/secrets.py)."""


def gateway_files(topology: Topology, planned: PlannedGateway, key_digest: str) -> Files:
    """Files of one gateway. `key_digest` changes with its keys and passwords, never shows them."""
    return {
        "deployment.yaml": _deployment(topology, planned, key_digest),
        "swanctl.conf": _swanctl(topology, planned),
        "frr.conf": _frr(topology, planned),
        "gateway.json": _settings(topology, planned),
    }


def local_identity(planned: PlannedGateway, tunnel: PlannedTunnel) -> str:
    """The gateway's IKE identity: its public address, since it sits behind 1:1 NAT."""
    return tunnel.tunnel.identities.local or str(planned.gateway.public_ip)


def peer_identity(tunnel: PlannedTunnel) -> str:
    """The remote side's IKE identity."""
    return tunnel.tunnel.identities.peer or str(tunnel.tunnel.peer_address)


def initiates(tunnel: PlannedTunnel) -> bool:
    """Whether the gateway starts IKE."""
    return tunnel.profile.initiator != "remote"


def rekey_time(lifetime: int) -> int:
    """Seconds until an SA is replaced so that at `lifetime` it has ended: strongSwan lets it live 10 % longer."""
    return lifetime * 10 // 11


def _swanctl(topology: Topology, planned: PlannedGateway) -> str:
    return configuration(
        "swanctl.conf.j2",
        topology.name,
        gateway=planned.gateway,
        tunnels=planned.tunnels,
        local_identity=lambda tunnel: local_identity(planned, tunnel),
        peer_identity=peer_identity,
        initiates=initiates,
        rekey=rekey_time,
        secrets_path=SECRETS,
    )


def _frr(topology: Topology, planned: PlannedGateway) -> str:
    bgp = topology.cluster.spec.bgp
    return configuration(
        "tunnel.conf.j2",
        topology.name,
        gateway=planned.gateway,
        tunnels=planned.tunnels,
        remotes=_remotes(planned),
        announced=topology.announced,
        local=topology.local,
        all_accepted=networks(cidr for remote in _remotes(planned) for cidr in remote.accepted_cidrs),
        accepted=lambda remote: networks(remote.accepted_cidrs),
        bfd=lambda remote: effective(remote).bfd,
        node_bfd=NODE_BFD,
        node_address=NODE_ADDRESS,
        local_asn=bgp.local_asn,
        internal_asn=bgp.internal_asn,
        within=within,
    )


def _remotes(planned: PlannedGateway) -> tuple[Remote, ...]:
    """The sites that this gateway has a tunnel to, by name."""
    by_name = {tunnel.remote.name: tunnel.remote for tunnel in planned.tunnels}
    return tuple(by_name.values())


def _settings(topology: Topology, planned: PlannedGateway) -> str:
    data = {
        "comment": [line.removeprefix("# ") for line in header(topology.name).splitlines()],
        "name": planned.name,
        "turn": topology.gateways.index(planned),
        "address": str(planned.gateway.internal_ip),
        "nodeInterface": topology.cluster.spec.node_interface,
        "localCidrs": [str(network) for network in topology.local],
        "agent": {"protocol": PROTOCOL, "backupMetric": Metric.BACKUP.value},
        "tunnels": [_tunnel(planned, tunnel) for tunnel in planned.tunnels],
    }
    return json.dumps(data, indent=2) + "\n"


def _tunnel(planned: PlannedGateway, tunnel: PlannedTunnel) -> dict[str, Any]:
    inside = tunnel.tunnel.inside
    return {
        "connection": tunnel.connection,
        "interface": tunnel.interface,
        "interfaceId": tunnel.interface_id,
        "address": f"{inside.local}/{inside.cidr.network.prefixlen}",
        "peer": str(inside.peer),
        "localIdentity": local_identity(planned, tunnel),
        "peerIdentity": peer_identity(tunnel),
        "initiates": initiates(tunnel),
        "acceptedCidrs": [str(network) for network in networks(tunnel.remote.accepted_cidrs)],
        "mtu": tunnel.profile.mtu,
        "mss": tunnel.profile.mss,
        "passwordFile": tunnel.remote.name if tunnel.remote.bgp_password else None,
    }


def _deployment(topology: Topology, planned: PlannedGateway, key_digest: str) -> str:
    # One value: the API server takes no more for a field selector.
    field = {"key": "metadata.name", "operator": "In", "values": [planned.gateway.node]}
    affinity = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    template = {
        "metadata": {"annotations": {"tunnelfleet/keys": key_digest}},
        "spec": {
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": affinity}},
            "volumes": [
                {"name": "keys", "projected": {"sources": _keys(planned)}},
                {"name": "passwords", "projected": {"sources": _passwords(planned)}},
            ],
        },
    }
    data = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "ipsec-tunnel"},
        "spec": {"template": template},
    }
    return manifest(topology.name, data, "../../../schemas/kubernetes/v1.37/deployment-apps-v1.json")


def _keys(planned: PlannedGateway) -> list[dict[str, Any]]:
    """The pre-shared keys, each as a file named for its connection."""
    return [_source(tunnel.tunnel.preshared_key, tunnel.connection) for tunnel in planned.tunnels]


def _passwords(planned: PlannedGateway) -> list[dict[str, Any]]:
    """The passwords of BGP sessions, each as a file named for its site."""
    return [_source(remote.bgp_password, remote.name) for remote in _remotes(planned) if remote.bgp_password]


def _source(entry: SecretKey, path: str) -> dict[str, Any]:
    return {"secret": {"name": entry.secret_name, "items": [{"key": entry.key, "path": path}]}}
