"""The cloud around the nodes: their network, its port security and firewall, 1:1 NAT and the way to remote sites.

As Crusoe's fabric does, it drops whatever does not come from the sender's own address and passes TCP and UDP alone.
All of it is one namespace: a bridge with the nodes as its ports, and a router between the bridge and the sites.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from zlib import crc32

from .fabric_rules import BRIDGE, Change, block_changes, node_changes, packets, quoted, ruleset
from .namespace import Namespace
from .stage import Cluster

ROUTER = "100.64.0.1"
"""The router's address on its links to sites (RFC 6598)."""
IKE_PORTS = (500, 4500)
"""IKE, and IKE with ESP in UDP (RFC 3948)."""
MTU = 1500

_LONGEST_INTERFACE = 15


class Fabric:
    """Namespace `fabric`. Nodes and sites are known by the names of their namespaces."""

    def __init__(self, cluster: Cluster) -> None:
        self.namespace = Namespace.create("fabric")
        self.interface = cluster.node_interface
        self._ranges = tuple(map(IPv4Network, cluster.nodes))
        self._nodes: dict[str, tuple[str, str | None]] = {}
        self._sites: set[str] = set()
        self._names: dict[str, str] = {}
        self.namespace.sysctl(
            ip_forward=1, conf__all__rp_filter=0, conf__default__rp_filter=0, conf__all__send_redirects=0
        )
        self.namespace.nft(ruleset(cluster))
        self.namespace.batch(
            f"link add {BRIDGE} address {mac(router(self._ranges[0]))} type bridge forward_delay 0 mcast_snooping 0",
            *(f"address add {router(network)}/{network.prefixlen} dev {BRIDGE}" for network in self._ranges),
            f"link set {BRIDGE} up",
            # to nowhere without a word: the fabric tells nobody that an address is not there
            "route add blackhole default",
        )

    def attach_node(self, name: str, address: str, public: str | None = None) -> Namespace:
        """A new namespace for a node: its interface up with the address, and a default route.

        With a public address the node reaches the sites and they reach its ports 500 and 4500. Raises ValueError
        where the address is in none of the cluster's node ranges.
        """
        network = containing(self._ranges, address)
        port = port_name(name)
        self._change(node_changes("add", port, address, public))
        self._nodes[name] = (address, public)
        self._names |= {port: name, address: name}
        namespace = self._connect(name, self.interface, mac(address), f"link set {port} master {BRIDGE}")
        namespace.batch(
            f"address add {address}/{network.prefixlen} dev {self.interface}",
            f"link set {self.interface} up",
            f"route add default via {router(network)} dev {self.interface}",
        )
        return namespace

    def detach_node(self, name: str) -> None:
        """The node's virtual machine is gone at once, with all that ran on it. Its name and address are free again."""
        port = port_name(name)
        # whoever still holds a socket of the namespace keeps it alive, but not connected
        self.namespace.ip("link", "delete", port)
        Namespace(name).delete()
        self.mend(name)
        self._change(node_changes("delete", port, *self._nodes.pop(name)))

    def attach_site(self, name: str, addresses: Sequence[str]) -> Namespace:
        """A new namespace for a site or any host of the internet: public addresses on eth0, and a default route."""
        port = port_name(name)
        self._change([Change("add", "ip", "own", tuple(f"{quoted(port)} . {address}" for address in addresses))])
        self._sites.add(name)
        self._names[port] = name
        namespace = self._connect(
            name,
            "eth0",
            mac(addresses[0]),
            f"address add {ROUTER}/32 dev {port}",
            f"link set {port} up",
            *(f"route add {address}/32 dev {port}" for address in addresses),
        )
        namespace.batch(
            *(f"address add {address}/32 dev eth0" for address in addresses),
            "link set eth0 up",
            f"route add default via {ROUTER} dev eth0 onlink src {addresses[0]}",
        )
        return namespace

    def cut(self, name: str) -> None:
        """Nothing passes the node's or site's cable any more; both of its ends stay up, so nobody is told."""
        self._change([self._cut("add", name)])

    def mend(self, name: str) -> None:
        """Undoes `cut`; no harm where it was not cut."""
        # `delete` fails where there is none
        self._change([self._cut("add", name), self._cut("delete", name)])

    def block(self, one: str, other: str, ports: Sequence[int] = IKE_PORTS, *, both: bool = True) -> None:
        """Drops packets from one address to the other, and back with `both`, that have one of the ports at either end.

        A node is meant by its public address or its own. Without ports everything is dropped.
        """
        self._change(block_changes("add", self._pairs(one, other, both), ports))

    def unblock(self, one: str, other: str, ports: Sequence[int] = IKE_PORTS, *, both: bool = True) -> None:
        """Undoes `block` of the same arguments. Raises CommandError where that was not blocked."""
        self._change(block_changes("delete", self._pairs(one, other, both), ports))

    def narrow(self, site: str, mtu: int = MTU) -> None:
        """Sets the MTU of the path to a site. The router tells senders of packets too long for it, unless muted."""
        self.namespace.ip("link", "set", port_name(site), "mtu", str(mtu))
        Namespace(site).ip("link", "set", "eth0", "mtu", str(mtu))

    def mute(self) -> None:
        """The router sends no ICMP any more. Nobody else's passes the firewall in any case."""
        self._change([Change("add", "ip", "mute", ("icmp",))])

    def unmute(self) -> None:
        """Undoes `mute`. Raises CommandError where the router was not muted."""
        self._change([Change("delete", "ip", "mute", ("icmp",))])

    def impair(self, name: str, *, delay: int = 0, loss: float = 0) -> None:
        """Delays packets to the node or site by milliseconds, and loses that many of a hundred.

        Raises CommandError on a kernel without sch_netem.
        """
        self._tc("replace", name, "delay", f"{delay}ms", "loss", f"{loss}%")

    def repair(self, name: str) -> None:
        """Undoes `impair`. Raises CommandError where nothing was impaired."""
        self._tc("delete", name)

    def clear_text(self) -> Counter[str]:
        """Packets from or to a remote range that left each node outside VXLAN and IPsec; dropped ones count too."""
        return self._counts("bridge", "clear")

    def refused(self) -> Counter[str]:
        """Packets of each node and site that were dropped because their source was not its own address."""
        return self._counts("bridge", "refused") + self._counts("ip", "refused")

    def internet(self) -> Counter[str]:
        """Packets of each node that left for the internet and were not IPsec's."""
        return self._counts("ip", "internet")

    def _connect(self, name: str, interface: str, address: str, *then: str) -> Namespace:
        namespace = Namespace.create(name)
        port = port_name(name)
        inner = f"peer name {interface} mtu {MTU} address {address} netns {name}"
        self.namespace.batch(f"link add {port} mtu {MTU} type veth {inner}", f"link set {port} up", *then)
        return namespace

    def _cut(self, action: str, name: str) -> Change:
        return Change(action, "ip" if name in self._sites else "bridge", "cut", (quoted(port_name(name)),))

    def _pairs(self, one: str, other: str, both: bool) -> list[tuple[str, str]]:
        internal = {public: address for address, public in self._nodes.values()}
        ends = internal.get(one, one), internal.get(other, other)
        return [ends, (ends[1], ends[0])] if both else [ends]

    def _change(self, changes: Iterable[Change]) -> None:
        self.namespace.nft("".join(map(str, changes)))

    def _counts(self, family: str, name: str) -> Counter[str]:
        listed = self.namespace.run(("nft", "-j", "list", "set", family, "fabric", name))
        return Counter({self._names[element]: count for element, count in packets(listed).items()})

    def _tc(self, action: str, name: str, *options: str) -> None:
        self.namespace.run(("tc", "qdisc", action, "dev", port_name(name), "root", "netem", *options))


def port_name(name: str) -> str:
    """The fabric's end of a cable: named for the namespace at its other end, as far as the kernel's 15 letters go."""
    if len(name) <= _LONGEST_INTERFACE:
        return name
    return f"{name[:10]}-{crc32(name.encode()) & 0xFFFF:04x}"


def mac(address: str) -> str:
    """A locally administered MAC that belongs to an IPv4 address: it outlives whoever has the address."""
    return "02:00:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


def router(network: IPv4Network) -> str:
    """The router's address in a range of nodes: its first host."""
    return str(network.network_address + 1)


def containing(ranges: Iterable[IPv4Network], address: str) -> IPv4Network:
    """The range that holds the address. Raises ValueError where none does."""
    for network in ranges:
        if IPv4Address(address) in network:
            return network
    raise ValueError(f"node address {address} is in none of the cluster's node ranges {', '.join(map(str, ranges))}")
