"""Inventories of any shape that hypothesis draws: what their policies ask holds, so that they can be generated."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import strategies as st

from tunnelfleet.inventory.model import Cluster

PROFILES = ("gcp-ha-vpn", "aws-vpn", "azure-vpn", "generic")
NODES = ["172.16.0.0/20", "172.17.0.0/16", "172.18.3.0/24"]
PODS = ["10.128.0.0/16", "10.129.0.0/24", "10.130.0.0/15"]
# outside of the cluster's own ranges; some lie within others
ACCEPTED = ["10.0.0.0/16", "10.0.0.0/9", "10.0.7.0/24", "10.1.2.3/32", "192.168.40.0/22", "100.64.0.0/10"]
GATEWAYS = ["a", "b", "gw-1", "west", "z9"]
# names that begin with one another
SITES = ["gcp", "gcp-us", "gcp-us-1", "azure"]

_TEXTS = st.sampled_from(["vpn.example.net", "203.0.113.99", "site@example.net", "a:b"])
_OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "ikeProposals": st.lists(
            st.sampled_from(["aes256gcm16-prfsha384-ecp384", "aes128-sha256-ecp256", "aes256-sha512-modp4096"]),
            min_size=1,
            max_size=3,
            unique=True,
        ),
        "espProposals": st.lists(st.sampled_from(["aes256gcm16", "aes256gcm16-ecp384"]), min_size=1, unique=True),
        "ikeLifetime": st.integers(3600, 86400),
        "espLifetime": st.integers(600, 3600),
        "dpdDelay": st.integers(1, 60),
        "replayWindow": st.integers(32, 128).map(lambda blocks: blocks * 32),
        "initiator": st.sampled_from(["local", "remote", "either"]),
        "keepalive": st.integers(1, 20),
        "hold": st.integers(60, 200),
        "bfd": st.just(False)
        | st.fixed_dictionaries({"interval": st.integers(50, 999), "multiplier": st.integers(2, 9)}),
        "maximumPrefixes": st.integers(1, 5000),
        "mtu": st.integers(576, 1500),
    },
)


def _some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Any]:
    """A cluster.yaml as data."""
    nodes, pods = draw(_some(NODES)), draw(_some(PODS))
    names = draw(st.lists(st.sampled_from(GATEWAYS), min_size=2, max_size=4, unique=True))
    first = IPv4Network(nodes[0])
    gateways = [
        {
            "name": name,
            "node": f"node-{name}.example.internal",
            "internalIP": str(first[10 + place]),
            "publicIP": str(IPv4Address("203.0.113.10") + place),
        }
        for place, name in enumerate(names)
    ]
    count = iter(range(1000))
    sites = draw(st.lists(st.sampled_from(SITES), min_size=1, max_size=3, unique=True))
    spec: dict[str, Any] = {
        "networks": {"nodes": nodes, "pods": pods, "services": ["10.140.0.0/16"]},
        "localCidrs": [*nodes, *pods, "10.140.0.0/16"],
        "gateways": gateways,
        "bgp": {"localASN": 65010, "internalASN": 65020},
        "remotes": [_remote(draw, name, names, count) for name in sites],
    }
    if draw(st.booleans()):
        spec["advertisedCidrs"] = draw(_some(spec["localCidrs"]))
    if draw(st.booleans()):
        spec["nodeInterface"] = "eth0"
    return {"apiVersion": "tunnelfleet/v1", "kind": "Cluster", "metadata": {"name": "any"}, "spec": spec}


def _remote(draw: st.DrawFn, name: str, gateways: list[str], count: Any) -> dict[str, Any]:
    tunnels = []
    for gateway in draw(st.lists(st.sampled_from(gateways), min_size=1, max_size=4)):
        number = next(count)
        inside = IPv4Network((int(IPv4Address("169.254.21.0")) + 4 * number, 30))
        tunnel: dict[str, Any] = {
            "gateway": gateway,
            "peerAddress": str(IPv4Address("198.51.100.1") + number),
            "inside": {"local": str(inside[2]), "peer": str(inside[1]), "cidr": str(inside)},
            "presharedKey": {"secretName": "ipsec-psk", "key": f"{name}-{number}"},
        }
        if draw(st.booleans()):
            tunnel["identities"] = draw(st.fixed_dictionaries({}, optional={"local": _TEXTS, "peer": _TEXTS}))
        tunnels.append(tunnel)
    remote: dict[str, Any] = {
        "name": name,
        "profile": draw(st.sampled_from(PROFILES)),
        "asn": draw(st.integers(64512, 64600)),
        "acceptedCidrs": draw(_some(ACCEPTED)),
        "tunnels": tunnels,
        "overrides": draw(_OVERRIDES),
    }
    if draw(st.booleans()):
        remote["bgpPassword"] = {"secretName": "ipsec-bgp", "key": name}
    return remote


def clusters() -> st.SearchStrategy[Cluster]:
    """The same, read."""
    return inventories().map(Cluster.model_validate)
