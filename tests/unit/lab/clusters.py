"""A cluster as the twin is told of it, for tests of its pure parts."""

from __future__ import annotations

from tests.lab.twin.stage import Cluster, Gateway, Remote, Tunnel

_TUNNEL = Tunnel(
    gateway="a",
    connection="site-ipsec0",
    interface="ipsec0",
    peer_address="203.0.113.201",
    local_identity="203.0.113.11",
    peer_identity="203.0.113.201",
    inside_local="169.254.10.2",
    inside_peer="169.254.10.1",
    inside_cidr="169.254.10.0/30",
    key="not a key",
)
_REMOTE = Remote(
    name="site",
    profile="generic",
    asn=64514,
    accepted_cidrs=("10.0.0.0/16", "192.168.40.0/22"),
    tunnels=(_TUNNEL,),
    bgp_password=None,
    ike_proposals=(),
    esp_proposals=(),
    initiator="either",
    keepalive=10,
    hold=30,
    bfd=None,
    mtu=1398,
)
CLUSTER = Cluster(
    name="example",
    namespace="ipsec-tunnel",
    node_interface="ens3",
    nodes=("172.27.0.0/20", "172.27.32.0/24"),
    pods=("10.130.0.0/16",),
    services=("10.131.0.0/16",),
    advertised=("172.27.0.0/20",),
    local_asn=65010,
    internal_asn=65020,
    gateways=(
        Gateway("a", "np-1.example.internal", "172.27.0.11", "203.0.113.11"),
        Gateway("b", "np-2.example.internal", "172.27.0.101", "203.0.113.202"),
    ),
    remotes=(_REMOTE,),
)
