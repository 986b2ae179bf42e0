"""Fleets of any size, made by counting: valid inventories in which many clusters share a remote site."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
# What a repository has beside its clusters and overlays.
SHARED = ("base", "schemas")
GROUP = 25
"""Clusters that reach the same remote site."""


@dataclass(frozen=True, slots=True)
class Site:
    """A kind of remote site: its profile and how a cluster connects to it."""

    profile: str
    asn: int
    tunnels_per_gateway: int


SITES = (
    Site("gcp-ha-vpn", 64514, 1),
    Site("aws-vpn", 64512, 2),
    Site("azure-vpn", 65515, 1),
    Site("generic", 65401, 1),
)


def cluster(number: int) -> dict[str, Any]:
    """The inventory of cluster `number`, from 0; its ranges are its own among those that share its sites."""
    name, group, member = f"cluster-{number:04d}", number // GROUP, number % GROUP
    site = SITES[group % len(SITES)]
    nodes = IPv4Network((int(IPv4Address("172.16.0.0")) + member * 4096, 20))
    gateways = [
        {
            "name": letter,
            "node": f"{name}-node-{letter}.example.internal",
            "internalIP": str(nodes[11 + place]),
            "publicIP": str(IPv4Address("45.0.0.0") + number * 2 + place),
        }
        for place, letter in enumerate("ab")
    ]
    ranges = [str(nodes), f"10.{64 + 2 * member}.0.0/16", f"10.{65 + 2 * member}.0.0/16"]
    tunnels = [
        _tunnel(number, site, gateway["name"], place * site.tunnels_per_gateway + index)
        for place, gateway in enumerate(gateways)
        for index in range(site.tunnels_per_gateway)
    ]
    return {
        "apiVersion": "tunnelfleet/v1",
        "kind": "Cluster",
        "metadata": {"name": name, "labels": {"environment": "bench"}},
        "spec": {
            "networks": dict(zip(("nodes", "pods", "services"), ([cidr] for cidr in ranges), strict=True)),
            "localCidrs": ranges,
            "gateways": gateways,
            "bgp": {"localASN": 65010, "internalASN": 65020},
            "remotes": [
                {
                    "name": f"site-{group:03d}",
                    "profile": site.profile,
                    "asn": site.asn,
                    "acceptedCidrs": ["10.0.0.0/16", "192.168.0.0/16"],
                    "tunnels": tunnels,
                }
            ],
        },
    }


def _tunnel(number: int, site: Site, gateway: str, index: int) -> dict[str, Any]:
    member = number % GROUP
    inside = IPv4Network((int(IPv4Address("169.254.21.0")) + (member * 4 + index) * 4, 30))
    return {
        "gateway": gateway,
        "peerAddress": str(IPv4Address("46.0.0.0") + number * 4 + index),
        "inside": {"local": str(inside[2]), "peer": str(inside[1]), "cidr": str(inside)},
        "presharedKey": {"secretName": "ipsec-psk", "key": f"{site.profile}-{index}"},
    }


def _secret(name: str, keys: list[str]) -> dict[str, Any]:
    # Shaped as SOPS leaves it; nothing decrypts it.
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "ipsec-tunnel"},
        "stringData": {key: f"ENC[AES256_GCM,data:{index:08d},type:str]" for index, key in enumerate(keys)},
        "sops": {"age": [{"recipient": "age1"}], "mac": "ENC[AES256_GCM,data:0,type:str]", "version": "3.13.3"},
    }


def write_cluster(root: Path, data: dict[str, Any]) -> None:
    """Writes clusters/<name>/ with its encrypted secrets."""
    folder = root / "clusters" / data["metadata"]["name"]
    (folder / "secrets").mkdir(parents=True)
    (folder / "cluster.yaml").write_text(yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False))
    keys = [tunnel["presharedKey"]["key"] for remote in data["spec"]["remotes"] for tunnel in remote["tunnels"]]
    for name, entries in (("ipsec-psk", keys), ("ipsec-bgp", ["password"])):
        text = yaml.dump(_secret(name, entries), Dumper=yaml.CSafeDumper, sort_keys=False)
        (folder / "secrets" / f"secret-{name}.yaml").write_text(text)


def write_fleet(root: Path, count: int) -> None:
    """A whole repository at `root`: this one's base/ and schemas/ with `count` clusters, nothing generated yet."""
    for name in SHARED:
        shutil.copytree(REPOSITORY / name, root / name)
    for number in range(count):
        write_cluster(root, cluster(number))
