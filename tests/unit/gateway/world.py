"""A gateway to test with: one tunnel to each of two sites."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from gateway.settings import Gateway, Tunnel

FIRST = Tunnel(
    connection="gcp-ipsec0",
    interface="ipsec0",
    interface_id=1,
    address=IPv4Interface("169.254.10.2/30"),
    peer=IPv4Address("169.254.10.1"),
    local_identity="203.0.113.11",
    peer_identity="198.51.100.34",
    initiates=True,
    accepted=(IPv4Network("10.0.0.0/16"),),
    mtu=1398,
    mss=1358,
    password_file=None,
)
SECOND = replace(
    FIRST,
    connection="site-ipsec1",
    interface="ipsec1",
    interface_id=2,
    address=IPv4Interface("169.254.60.2/30"),
    peer=IPv4Address("169.254.60.1"),
    peer_identity="198.51.100.61",
    initiates=False,
    accepted=(IPv4Network("10.64.0.0/16"), IPv4Network("192.168.40.0/22")),
    password_file="site",
)
GATEWAY = Gateway(
    name="a",
    turn=0,
    address=IPv4Address("172.27.48.11"),
    node_interface="ens3",
    local=(IPv4Network("10.234.0.0/16"), IPv4Network("172.27.48.0/20")),
    tunnels=(FIRST, SECOND),
    agent_protocol=111,
    backup_metric=4261413364,
)
