"""A remote site: its VPN gateway and router in one network namespace, and a host behind it in another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Protocol

from ..namespace import Namespace
from ..stage import Cluster, Remote, Tunnel
from . import bgp, ike, router, vici
from .announcing import Announcements, Attributes
from .clouds import behaviour
from .daemons import Bird, Charon
from .links import links

_FOLDER = Path("/run/sites")
_HOST_LINK = "host0"
# RFC 6598: meets neither the cluster's ranges nor the inside addresses
_ROUTER_SIDE, _HOST_SIDE = "100.127.255.1", "100.127.255.2"
_LINK_LENGTH = 30
_HOST_NUMBER = 10
_TCP_IP_HEADERS = 40


class Attaching(Protocol):
    """The fabric, as far as a site needs it."""

    def attach_site(self, name: str, addresses: Sequence[str]) -> Namespace:
        """A new namespace with these public addresses on eth0."""

    def narrow(self, site: str, mtu: int) -> None:
        """Sets the MTU of the path to the site."""


@dataclass(frozen=True, slots=True)
class Session:
    """A tunnel's BGP session; `bfd` is None where the site does not speak it."""

    bgp: str
    """Established, Idle, Active, Connect, OpenSent, OpenConfirm, Close, Down."""
    bfd: str | None
    """Up, Init, Down, or none where there is no session yet."""

    @property
    def up(self) -> bool:
        return self.bgp == "Established"


class Site:
    """One remote site. Making it lays its network; `start` starts IKE and BGP."""

    def __init__(self, remote: Remote, cluster: Cluster, fabric: Attaching) -> None:
        self.remote = remote
        self.behaviour = behaviour(remote)
        self._links = links(remote, cluster)
        self._by_name = {link.name: link.tunnel for link in self._links}
        self._names = {link.tunnel: link.name for link in self._links}
        addresses = tuple(dict.fromkeys(tunnel.peer_address for tunnel in remote.tunnels))
        self.namespace = fabric.attach_site(f"site-{remote.name}", addresses)
        fabric.narrow(self.namespace.name, self.behaviour.path_mtu)
        self.host = Namespace.create(f"host-{remote.name}")
        folder = _FOLDER / remote.name
        self._charon, self._bird = Charon.of(self.namespace, folder), Bird.of(self.namespace, folder)
        self._keys = {tunnel: tunnel.key for tunnel in remote.tunnels}
        self._draining: set[Tunnel] = set()
        self._announcements = Announcements()
        self._announcements.add(self.announced, remote.tunnels, Attributes(med=self.behaviour.med))
        self._lay_network()

    @property
    def announced(self) -> tuple[str, ...]:
        """What the site announces from its start: the first /24 of each range that the cluster accepts."""
        return tuple(str(_first(cidr)) for cidr in self.remote.accepted_cidrs)

    @property
    def host_addresses(self) -> tuple[str, ...]:
        """The host's addresses, one in each announced range; it answers on every other of the accepted ranges too."""
        return tuple(_host_address(_first(cidr)) for cidr in self.remote.accepted_cidrs)

    def start(self) -> None:
        """Starts IKE and BGP, with nothing in mind of earlier security associations."""
        self._add_interfaces()
        folder = self._charon.folder
        (folder / "strongswan.conf").write_text(ike.daemon_settings(self.behaviour.retransmission))
        (folder / "swanctl.conf").write_text(ike.connections(self._links, self.behaviour))
        self._write_secrets()
        self._write_router()
        self._charon.start()
        self._bird.daemon.start()
        self._charon.daemon.wait()
        self._charon.swanctl("--load-all", "--noprompt")
        self._bird.daemon.wait()

    def stop(self) -> None:
        """Ends in order: BGP says Cease, then IKE deletes its security associations."""
        self._bird.daemon.stop()
        self._charon.daemon.stop()

    def crash(self) -> None:
        """Kills IKE and BGP; what they left in the kernel stays: security associations, interfaces, routes."""
        self._bird.daemon.kill()
        self._charon.daemon.kill()

    def halt(self) -> None:
        """Switches the site off, so that it forgets everything."""
        self.crash()
        self.namespace.ip("xfrm", "state", "flush")
        self.namespace.ip("xfrm", "policy", "flush")
        for link in self._links:
            self.namespace.ip("link", "delete", link.name)

    def reboot(self) -> None:
        """Off and on again; nobody is told."""
        self.halt()
        self.start()

    def announce(
        self,
        prefixes: Iterable[str],
        through: Iterable[Tunnel] | None = None,
        *,
        med: int | None = None,
        communities: Iterable[tuple[int, int]] = (),
        prepend: int = 0,
    ) -> None:
        """Announces the prefixes through these tunnels, default all; `med` defaults to the cloud's own.

        Nothing is refused: the default route and the cluster's own ranges are announced as any other.
        """
        attributes = Attributes(self.behaviour.med if med is None else med, tuple(communities), prepend)
        self._announcements.add(prefixes, self._chosen(through), attributes)
        self._configure_router()

    def withdraw(self, prefixes: Iterable[str], through: Iterable[Tunnel] | None = None) -> None:
        """Withdraws the prefixes from these tunnels, default all."""
        self._announcements.remove(prefixes, self._chosen(through))
        self._configure_router()

    def drain(self, tunnel: Tunnel) -> None:
        """Announces that the tunnel is about to stop (RFC 8326), and uses it as the last choice itself."""
        self._draining.add(tunnel)
        self._configure_router()

    def undrain(self, tunnel: Tunnel) -> None:
        """Takes `drain` back."""
        self._draining.discard(tunnel)
        self._configure_router()

    def close_bgp(self, tunnel: Tunnel) -> None:
        """Ends the BGP session with a notification, and keeps it closed until `open_bgp`."""
        self._bird.ask(f"disable {self._names[tunnel]}")

    def open_bgp(self, tunnel: Tunnel) -> None:
        """Lets the BGP session come up again."""
        self._bird.ask(f"enable {self._names[tunnel]}")

    def reset_bgp(self, tunnel: Tunnel) -> None:
        """Ends the BGP session; it comes up again by itself."""
        self._bird.ask(f"restart {self._names[tunnel]}")

    def delete_ike(self, tunnel: Tunnel) -> None:
        """Deletes the tunnel's IKE SAs and tells the peer, as a cloud does for its maintenance."""
        self._charon.swanctl("--terminate", "--ike", self._names[tunnel], "--timeout", "5", check=False)

    def set_key(self, tunnel: Tunnel, key: str) -> None:
        """Gives the tunnel another pre-shared key, ends what was negotiated with the old one, and starts again."""
        self._keys[tunnel] = key
        self._write_secrets()
        self._charon.swanctl("--load-creds", "--clear", "--noprompt")
        self.delete_ike(tunnel)
        if self.behaviour.initiates:
            # charon goes on by itself; with the wrong key it fails
            self._charon.swanctl("--initiate", "--child", self._names[tunnel], "--timeout", "1", check=False)

    def routes(self) -> dict[str, frozenset[Tunnel]]:
        """The tunnels that the site sends to each of the cluster's prefixes through: the kernel's own next hops."""
        listed = json.loads(self.namespace.ip("-json", "route", "show", "proto", "bird") or "[]")
        return {entry["dst"]: self._tunnels(entry) for entry in listed}

    def learnt(self) -> dict[Tunnel, list[router.Learnt]]:
        """All that the cluster announces, by tunnel, what is not used as well."""
        found: dict[Tunnel, list[router.Learnt]] = {tunnel: [] for tunnel in self.remote.tunnels}
        for route in router.learnt(self._bird.ask(router.LIST_LEARNT)):
            found[self._by_name[route.session]].append(route)
        return found

    def sessions(self) -> dict[Tunnel, Session]:
        """The BGP session of each tunnel; all Down while BIRD does not run."""
        if not self._bird.daemon.running:
            return dict.fromkeys(self.remote.tunnels, Session("Down", None))
        states = router.sessions(self._bird.ask("show protocols"))
        bfd: dict[str, str] = {}
        if self.remote.bfd:
            bfd = router.bfd_sessions(self._bird.ask("show bfd sessions"))
        return {
            tunnel: Session(states.get(name, "Down"), bfd.get(name, "none") if self.remote.bfd else None)
            for tunnel, name in self._names.items()
        }

    def tunnel_up(self, tunnel: Tunnel) -> bool:
        """Whether IKE has a security association that carries traffic."""
        return vici.installed(self._charon.daemon.control, self._names[tunnel])

    def logs(self) -> str:
        """All that charon and BIRD logged."""
        logs = (daemon.log for daemon in (self._charon.daemon, self._bird.daemon) if daemon.log.exists())
        return "\n".join(f"== {log.stem} of {self.remote.name}\n{log.read_text(errors='replace')}" for log in logs)

    def close(self) -> None:
        """Takes the site away; its namespace, made by the fabric, is left without processes."""
        self.crash()
        self.host.delete()

    def _chosen(self, through: Iterable[Tunnel] | None) -> tuple[Tunnel, ...]:
        return self.remote.tunnels if through is None else tuple(through)

    def _tunnels(self, entry: dict[str, Any]) -> frozenset[Tunnel]:
        hops = entry.get("nexthops") or [entry]
        return frozenset(self._by_name[hop["dev"]] for hop in hops if hop.get("dev") in self._by_name)

    def _write_secrets(self) -> None:
        path = self._charon.folder / "secrets.conf"
        path.touch(mode=0o600)
        path.write_text(ike.secrets(self._links, self._keys))

    def _write_router(self) -> None:
        text = bgp.configuration(self.remote, self.behaviour, self._links, self._announcements.groups(), self._draining)
        self._bird.configuration.write_text(text)

    def _configure_router(self) -> None:
        self._write_router()
        if self._bird.daemon.running:
            self._bird.ask("configure")

    def _lay_network(self) -> None:
        site, host = self.namespace, self.host
        site.sysctl(ip_forward=1, conf__all__rp_filter=0, fib_multipath_hash_policy=1)
        site.ip("link", "add", _HOST_LINK, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        site.ip("address", "add", f"{_ROUTER_SIDE}/{_LINK_LENGTH}", "dev", _HOST_LINK)
        site.ip("link", "set", _HOST_LINK, "up")
        host.ip("address", "add", f"{_HOST_SIDE}/{_LINK_LENGTH}", "dev", "eth0")
        host.ip("link", "set", "eth0", "up")
        for cidr, address in zip(self.remote.accepted_cidrs, self.host_addresses, strict=True):
            site.ip("route", "add", cidr, "via", _HOST_SIDE)
            host.ip("address", "add", f"{address}/32", "dev", "eth0")
            # whatever the site announces within it is there
            host.ip("route", "add", "local", cidr, "dev", "lo")
        host.ip("route", "add", "default", "via", _ROUTER_SIDE, "src", self.host_addresses[0])
        if self.behaviour.clamps_mss:
            site.nft(_clamp(self.behaviour.tunnel_mtu))

    def _add_interfaces(self) -> None:
        present = {entry["ifname"] for entry in json.loads(self.namespace.ip("-json", "link"))}
        for link in self._links:
            if link.name not in present:
                number = str(link.interface_id)
                self.namespace.ip("link", "add", link.name, "type", "xfrm", "dev", "eth0", "if_id", number)
                self.namespace.ip("address", "add", link.interface_address, "dev", link.name)
                self.namespace.ip("link", "set", link.name, "mtu", str(self.behaviour.tunnel_mtu), "up")


def _clamp(mtu: int) -> str:
    """MSS of TCP through the tunnels, both ways; nftables never raises it."""
    rule = f"tcp flags syn tcp option maxseg size set {mtu - _TCP_IP_HEADERS}"
    return f"""\
table ip site {{
  chain forward {{
    type filter hook forward priority mangle
    iifname "ipsec*" {rule}
    oifname "ipsec*" {rule}
  }}
}}
"""


def _first(cidr: str) -> IPv4Network:
    """The first /24 of a range, or all of a smaller one."""
    network = IPv4Network(cidr)
    return IPv4Network((network.network_address, max(24, network.prefixlen)))


def _host_address(network: IPv4Network) -> str:
    """The tenth address, or the last of a small range."""
    return str(network[min(_HOST_NUMBER, network.num_addresses - 1)])
