"""A gateway's pod in the baseline: charon's container, which owns the namespace, and FRR's, which is only in it."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from ..twin.namespace import Namespace
from ..twin.shell import run
from ..twin.sites.clouds import Retransmission
from ..twin.sites.daemons import Charon
from ..twin.sites.ike import daemon_settings
from ..twin.stage import Cluster
from . import configuration
from .configuration import INNER, OUTER, VETH, XFRM_ID, Way
from .frr import Frr

_INNER_VETH = "eth0"
_NETLINK_NETFILTER = 12
# linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h: delete all entries of conntrack, and answer
_FLUSH_CONNTRACK = struct.pack("=IHHIIBBH", 20, 0x0102, 0x0005, 1, 0, 0, 0, 0)


class GatewayPod:
    """The pod of one gateway, on its node. Nothing runs until `start`."""

    def __init__(self, way: Way, cluster: Cluster, node: Namespace, folder: Path) -> None:
        self.way = way
        self.namespace = Namespace(f"vpn-{way.gateway.name}")
        self._cluster = cluster
        self._node = node
        self._charon = Charon.of(self.namespace, folder / f"charon-{way.gateway.name}")
        self._frr = Frr.of(self.namespace, folder / f"border-{way.gateway.name}")

    def start(self) -> None:
        """Both containers, charon's first."""
        self._start_charon()
        self._frr.start(configuration.border_router(self.way, self._cluster))

    def restart_charon(self) -> None:
        """charon is killed, and its container starts at once, as kubelet starts one the first time.

        It deletes the namespace and makes a new one; FRR stays in the old one, which nothing leads to any more.
        """
        self._charon.daemon.kill()
        self._start_charon()

    def delete(self) -> None:
        """preStop takes the veth pair and the namespace away; only then the processes are told to end."""
        self._take_down()
        self._charon.daemon.stop()
        self._frr.stop()

    def vanish(self) -> None:
        """All of it is gone without a word; the node's cable must be cut before."""
        self._charon.daemon.kill()
        self._frr.kill()
        self._take_down()

    def problems(self) -> list[str]:
        """What is not as it should be."""
        name = self.way.gateway.name
        found = [f"gateway {name}: charon does not run"] if not self._charon.daemon.running else []
        wanted = {self.way.tunnel.inside_peer, OUTER}
        found += [f"gateway {name}: no BGP session with {peer}" for peer in wanted - self._frr.router.established()]
        return found

    def logs(self) -> str:
        """What charon and bgpd logged last."""
        daemons = (self._charon.daemon, self._frr.daemons[-1])
        return "\n".join(f"{daemon.log.stem} of {self.way.gateway.name}:\n{daemon.last_words()}" for daemon in daemons)

    def _start_charon(self) -> None:
        self._take_down()
        self._lay_namespace()
        self._node.nft(configuration.translation(self._cluster.node_interface))
        # mended: packets of a site that came before these rules would pass them by for ever
        self._node.within(_forget_connections)
        folder = self._charon.folder
        (folder / "strongswan.conf").write_text(daemon_settings(Retransmission()), encoding="utf-8")
        (folder / "swanctl.conf").write_text(configuration.swanctl(self.way), encoding="utf-8")
        self._charon.start()
        self._charon.daemon.wait()
        self._charon.swanctl("--load-all", "--noprompt")

    def _lay_namespace(self) -> None:
        inside = Namespace.create(self.namespace.name)
        self._node.batch(
            f"link add {VETH} type veth peer name {_INNER_VETH} netns {inside.name}",
            f"address add {OUTER}/30 dev {VETH}",
            f"link set {VETH} up",
        )
        # whatever the node's defaults are, answers may come by another gateway
        self._node.sysctl(**{f"conf__{VETH}__rp_filter": 0})
        inside.sysctl(ip_forward=1, conf__all__rp_filter=0, conf__default__rp_filter=0, conf__eth0__rp_filter=0)
        inside.batch(
            f"address add {INNER}/30 dev {_INNER_VETH}",
            f"link set {_INNER_VETH} up",
            f"route add default via {OUTER}",
            f"link add ipsec0 type xfrm dev {_INNER_VETH} if_id {XFRM_ID}",
            f"address add {self.way.interface_address} dev ipsec0",
            "link set ipsec0 up",
            # there whether or not anything behind them is
            *(f"route add {network} via {OUTER}" for network in self._cluster.advertised),
        )

    def _take_down(self) -> None:
        self._node.ip("link", "delete", VETH, check=False)
        run(("ip", "netns", "delete", self.namespace.name), check=False)


def _forget_connections() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.send(_FLUSH_CONNTRACK)
        answer = netlink.recv(4096)
    (error,) = struct.unpack_from("=i", answer, 16)
    if error:
        raise OSError(-error, "cannot flush conntrack")
