"""The import itself: the text of cluster.yaml with its `# import:` comments, and the notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunnelfleet.chart.gateways import ImportedGateway
from tunnelfleet.chart.keys import SECRET, note_keys, note_next
from tunnelfleet.chart.notes import Note, NoteKind, Notes
from tunnelfleet.chart.plan import ImportedTunnel, ImportOptions, Plan, Ranges, make_plan
from tunnelfleet.chart.reading import Marked
from tunnelfleet.chart.values import ChartValues, is_chart, read_values
from tunnelfleet.inventory.document import Document
from tunnelfleet.inventory.fields import shown
from tunnelfleet.inventory.writing import SCHEMA_LINE, Page, mapping, scalar, sequence


@dataclass(frozen=True, slots=True)
class Imported:
    """The text of cluster.yaml, None where the file is not the chart's values, and what is to be said."""

    text: str | None
    notes: tuple[Note, ...]


def import_chart(document: Document, name: str, options: ImportOptions) -> Imported:
    """The cluster that the values describe; the same input always gives the same text."""
    notes = Notes()
    if not is_chart(document):
        found = shown(document.data) if not isinstance(document.data, dict) else "other keys"
        message = f"expected the chart's values with localCidrs, tunnels and bgp, found {found}"
        hint = "give the file that `helm get values` prints, or the one that `helm install -f` took"
        notes.add(NoteKind.WRONG, document.locate(()), message, hint)
        return Imported(None, notes.ordered)
    values = read_values(document, notes)
    plan = make_plan(values, name, options, notes)
    _note_chart(values, notes)
    note_keys(values, plan, notes)
    note_next(values, plan, options, notes)
    return Imported(_write(plan), notes.ordered)


def _note_chart(values: ChartValues, notes: Notes) -> None:
    """What the chart itself did wrong with values like these."""
    if not values.tunnels:
        message = "there are no tunnels in the values"
        notes.add(NoteKind.UNKNOWN, values.location, message, "write gateways and tunnels into cluster.yaml")
        return
    first = values.tunnels[0]
    message = "publicIP is commented as the node's, but the chart used it as the peer's address; so it is peerAddress"
    hint = "make sure that it is the remote site's address"
    notes.add(NoteKind.WRONG, first.peer_address.location, message, hint)
    message = "the chart named itself to the peer by the node's internal address; now it is the gateway's publicIP"
    hint = "change what the remote site expects, or write identities: {local: ADDRESS} beside presharedKey"
    notes.add(NoteKind.WRONG, first.internal_ip.location, message, hint)


def _write(plan: Plan) -> str:
    page = Page([SCHEMA_LINE])
    page.comment(
        0,
        "Imported from the Helm chart's values. Each `# import:` says what is wrong, unknown or guessed on its line:"
        " mend the line, then take the comment away.",
    )
    page.entry(0, "apiVersion", "tunnelfleet/v1")
    page.entry(0, "kind", "Cluster")
    page.entry(0, "metadata")
    page.entry(1, "name", scalar(plan.name))
    page.entry(0, "spec")
    _marked(page, 1, "namespace", plan.namespace)
    page.entry(1, "networks")
    for role, found in plan.networks.items():
        _ranges(page, 2, role, Ranges(found.ranges, found.remark))
    _ranges(page, 1, "localCidrs", plan.local)
    _ranges(page, 1, "advertisedCidrs", plan.advertised)
    page.entry(1, "nodeInterface", scalar(plan.interface))
    few = "cluster.yaml needs two gateways on distinct nodes; add what is missing" if len(plan.gateways) < 2 else ""
    if plan.gateways:
        page.entry(1, "gateways")
    else:
        page.entry(1, "gateways", "[]", _import(few))
    for gateway in plan.gateways:
        _gateway(page, gateway, few)
    page.entry(1, "bgp")
    _marked(page, 2, "localASN", plan.local_asn)
    _marked(page, 2, "internalASN", plan.internal_asn)
    _remote(page, plan)
    return page.text


def _gateway(page: Page, gateway: ImportedGateway, remark: str) -> None:
    _marked(page, 3, "name", Marked(gateway.name, remark), first=True)
    _marked(page, 3, "node", gateway.node)
    _marked(page, 3, "internalIP", gateway.internal_ip)
    _marked(page, 3, "publicIP", gateway.public_ip)


def _remote(page: Page, plan: Plan) -> None:
    page.entry(1, "remotes")
    _marked(page, 3, "name", plan.remote_name, first=True)
    _marked(page, 3, "profile", Marked(plan.profile, plan.profile_remark))
    _marked(page, 3, "asn", plan.remote_asn)
    _ranges(page, 3, "acceptedCidrs", plan.accepted)
    page.entry(3, "tunnels", "" if plan.tunnels else "[]", _import("" if plan.tunnels else "the values have none"))
    for tunnel in plan.tunnels:
        _tunnel(page, tunnel)


def _tunnel(page: Page, tunnel: ImportedTunnel) -> None:
    page.entry(5, "gateway", scalar(tunnel.gateway), first=True)
    _marked(page, 5, "peerAddress", tunnel.peer_address)
    page.entry(5, "inside")
    _marked(page, 6, "local", tunnel.inside.local)
    _marked(page, 6, "peer", tunnel.inside.peer)
    _marked(page, 6, "cidr", tunnel.inside.cidr)
    secret: Mapping[str, str | int] = {"secretName": SECRET, "key": tunnel.key.value}
    page.entry(5, "presharedKey", mapping(secret), _import(tunnel.key.remark))


def _marked(page: Page, depth: int, key: str, marked: Marked, *, first: bool = False) -> None:
    page.entry(depth, key, scalar(marked.value), _import(marked.remark), first=first)


def _ranges(page: Page, depth: int, key: str, ranges: Ranges) -> None:
    page.entry(depth, key, sequence(ranges.ranges), _import(ranges.remark))


def _import(remark: str) -> str:
    return f"import: {remark}" if remark else ""
