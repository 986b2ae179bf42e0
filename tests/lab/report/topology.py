"""Draws who is there: sites on top, their tunnels, gateways, the fabric, and the ordinary nodes.

Widths are shares of the page and heights are pixels, so that text keeps its size on every screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from .markup import element
from .model import Node, Site, Topology

_HEAD, _ROW, _FOOT = 32, 17, 8
_GAP = 24
_TUNNELS = 92
_BAND = 28
_MARGIN = 1.2


@dataclass(frozen=True, slots=True)
class Slot:
    """A column in percent of the width, and the box centred in it."""

    left: float
    width: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2

    def port(self, index: int, count: int) -> float:
        """Where the line of this index leaves the box."""
        return self.left + self.width * (index + 1) / (count + 1)


Row = tuple[str, str]


def slots(count: int, widest: float) -> list[Slot]:
    """Boxes side by side, none wider than `widest` percent."""
    share = 100 / count
    width = min(share - _MARGIN, widest)
    return [Slot(share * index + (share - width) / 2, width) for index in range(count)]


def draw(topology: Topology, *, columns: int, widest: float, style: str) -> Element:
    """The drawing, with so many ordinary nodes side by side."""
    gateways = [node for node in topology.nodes if node.gateway]
    others = [node for node in topology.nodes if not node.gateway]
    site_slots, gateway_slots = slots(len(topology.sites) or 1, widest), slots(len(gateways) or 1, widest)
    site_height = _height([_site_rows(site) for site in topology.sites])
    gateway_rows = [_gateway_rows(node, topology.sites) for node in gateways]
    gateway_top = site_height + _TUNNELS
    band_top = gateway_top + _height(gateway_rows) + _GAP
    parts = [
        *_tunnels(topology.sites, gateways, site_slots, gateway_slots, site_height, gateway_top),
        *(_cable(slot.middle, gateway_top, band_top) for slot, _ in zip(gateway_slots, gateways, strict=False)),
    ]
    for slot, site in zip(site_slots, topology.sites, strict=False):
        parts.append(_box(slot, 0, site_height, site.name, "", _site_rows(site), "site"))
    for slot, node, rows in zip(gateway_slots, gateways, gateway_rows, strict=False):
        height = _height(gateway_rows)
        parts.append(_box(slot, gateway_top, height, node.name, f"gateway {node.gateway}", rows, "gateway"))
    bottom = band_top + _BAND
    for start in range(0, len(others), columns):
        line = others[start : start + columns]
        top, height = bottom + _GAP, _height([_node_rows(node) for node in line])
        for slot, node in zip(slots(min(columns, len(others)), widest), line, strict=False):
            parts.insert(0, _cable(slot.middle, band_top, top))
            parts.append(_box(slot, top, height, node.name, "", _node_rows(node), "node"))
        bottom = top + height
    parts += _band(band_top)
    return element(
        "svg",
        element("title", _title(topology, len(gateways), len(others))),
        parts,
        class_=f"topology {style}",
        role="img",
        width="100%",
        height=bottom + 2,
    )


def _title(topology: Topology, gateways: int, others: int) -> str:
    tunnels = sum(len(site.tunnels) for site in topology.sites)
    names = ", ".join(site.name for site in topology.sites)
    return f"{tunnels} tunnels from {names} to {gateways} gateways; {others} ordinary nodes behind the fabric"


def _site_rows(site: Site) -> list[Row]:
    return [
        ("profile", site.profile),
        ("AS", str(site.asn)),
        ("networks", ", ".join(site.networks[:2]) + (" …" if len(site.networks) > 2 else "")),
        ("host", site.host),
    ]


def _gateway_rows(node: Node, sites: Sequence[Site]) -> list[Row]:
    tunnels = [tunnel for site in sites for tunnel in site.tunnels if tunnel.node == node.name]
    return [
        *((tunnel.interface, tunnel.peer_address) for tunnel in tunnels),
        ("public", node.public or ""),
        *_node_rows(node),
    ]


def _node_rows(node: Node) -> list[Row]:
    return [("node", node.address), ("pod", node.pod)]


def _height(boxes: Sequence[Sequence[Row]]) -> int:
    return _HEAD + _ROW * max((len(rows) for rows in boxes), default=0) + _FOOT


def _box(slot: Slot, top: float, height: float, name: str, kind: str, rows: Sequence[Row], style: str) -> Element:
    lines = []
    for index, (key, value) in enumerate(rows):
        y = _HEAD + 12 + _ROW * index
        lines.append(element("text", key, class_="key", x=10, y=y))
        lines.append(element("text", value, class_="value", x=76, y=y))
    return element(
        "svg",
        element("rect", x=0.5, y=0.5, width="99.7%", height=height - 1, rx=6, class_=f"box {style}"),
        element("text", name, class_="name", x=10, y=21),
        element("text", kind, class_="kind", x="97%", y=21, text_anchor="end") if kind else None,
        lines,
        x=f"{slot.left:.3f}%",
        y=top,
        width=f"{slot.width:.3f}%",
        height=height,
    )


def _tunnels(
    sites: Sequence[Site],
    gateways: Sequence[Node],
    site_slots: Sequence[Slot],
    gateway_slots: Sequence[Slot],
    top: float,
    bottom: float,
) -> list[Element]:
    order = {node.name: index for index, node in enumerate(gateways)}
    arriving: dict[str, int] = dict.fromkeys(order, 0)
    ends = {name: sum(tunnel.node == name for site in sites for tunnel in site.tunnels) for name in order}
    lines = []
    for site, slot in zip(sites, site_slots, strict=False):
        tunnels = sorted((tunnel for tunnel in site.tunnels if tunnel.node in order), key=lambda one: order[one.node])
        for index, tunnel in enumerate(tunnels):
            end = gateway_slots[order[tunnel.node]].port(arriving[tunnel.node], ends[tunnel.node])
            arriving[tunnel.node] += 1
            start = slot.port(index, len(tunnels))
            lines.append(
                element(
                    "g",
                    element("title", f"{tunnel.interface} on {tunnel.node}, {tunnel.peer_address} at {site.name}"),
                    element("line", x1=f"{start:.3f}%", y1=top, x2=f"{end:.3f}%", y2=bottom, class_="tunnel"),
                    element("circle", cx=f"{start:.3f}%", cy=top, r=3.5, class_="port"),
                    element("circle", cx=f"{end:.3f}%", cy=bottom, r=3.5, class_="port"),
                )
            )
    return lines


def _cable(x: float, top: float, bottom: float) -> Element:
    return element("line", x1=f"{x:.3f}%", y1=top, x2=f"{x:.3f}%", y2=bottom, class_="cable")


def _band(top: float) -> list[Element]:
    return [
        element("rect", x="0.3%", y=top + 0.5, width="99.4%", height=_BAND - 1, rx=6, class_="box fabric"),
        element("text", "fabric: drops foreign sources", class_="kind", x="50%", y=top + 18, text_anchor="middle"),
    ]
