"""The cluster as far as the chart's values and the flags tell it: all that cluster.yaml will say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tunnelfleet.chart.gateways import ImportedGateway, plan_gateways
from tunnelfleet.chart.networks import UNKNOWN_RANGE, Role, guess_roles
from tunnelfleet.chart.notes import NoteKind, Notes
from tunnelfleet.chart.reading import Marked, address_of, cidr_of, mark_asn, note_complaint
from tunnelfleet.chart.site import InsideAddresses, mark_inside, mark_peer, mark_profile
from tunnelfleet.chart.values import ChartValues
from tunnelfleet.inventory.fields import read_cidr
from tunnelfleet.inventory.model import ProfileName
from tunnelfleet.inventory.writing import key_names
from tunnelfleet.scaffold import AnswerError, read_ip, read_name, read_profile, read_range

DEFAULT_NAMESPACE = "ipsec-tunnel"
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the chart could not know, as far as it was given by flags; `public_ips` by the gateway's letter."""

    remote_name: str | None = None
    profile: ProfileName | None = None
    public_ips: Mapping[str, str] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    namespace: str | None = None


def import_options(
    remote_name: str | None = None,
    profile: str | None = None,
    public_ip: Sequence[str] = (),
    accept: Sequence[str] = (),
    namespace: str | None = None,
) -> tuple[ImportOptions, list[str]]:
    """The options from the flags' texts, and a line for each that cannot be used."""
    problems: list[str] = []
    public_ips: dict[str, str] = {}
    for text in public_ip:
        gateway, equals, address = text.partition("=")
        try:
            if not equals:
                raise AnswerError(f"expected GATEWAY=ADDRESS, found `{text}`", "write it like a=192.0.2.10")
            public_ips[gateway] = read_ip(address)
        except AnswerError as error:
            problems.append(f"--public-ip: {error.message}; {error.hint}")
    accepted = [_read("--accept", read_range, part, problems) for text in accept for part in text.split(",")]
    options = ImportOptions(
        remote_name=_read("--remote-name", read_name, remote_name, problems),
        profile=_read("--profile", read_profile, profile, problems),
        public_ips=public_ips,
        accepted=tuple(cidr for cidr in accepted if cidr is not None),
        namespace=_read("--namespace", read_name, namespace, problems),
    )
    return options, problems


def _read(flag: str, read: Callable[[str], Answer], text: str | None, problems: list[str]) -> Answer | None:
    try:
        return None if text is None else read(text)
    except AnswerError as error:
        problems.append(f"{flag}: {error.message}; {error.hint}")
        return None


@dataclass(frozen=True, slots=True)
class Ranges:
    """A list of ranges and the remark on it."""

    ranges: tuple[str, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ImportedTunnel:
    """A tunnel for cluster.yaml; `key` is the name of its pre-shared key, never the key."""

    gateway: str
    peer_address: Marked
    inside: InsideAddresses
    key: Marked


@dataclass(frozen=True, slots=True)
class Plan:
    """All that cluster.yaml says."""

    name: str
    namespace: Marked
    networks: Mapping[str, Role]
    local: Ranges
    advertised: Ranges
    interface: str
    gateways: tuple[ImportedGateway, ...]
    local_asn: Marked
    internal_asn: Marked
    remote_name: Marked
    profile: ProfileName
    profile_remark: str
    remote_asn: Marked
    accepted: Ranges
    tunnels: tuple[ImportedTunnel, ...]


def make_plan(values: ChartValues, name: str, options: ImportOptions, notes: Notes) -> Plan:
    """The plan; what is wrong, unknown or guessed is noted."""
    internal = [address for tunnel in values.tunnels if (address := address_of(tunnel.internal_ip.text))]
    where = values.local[0].location if values.local else values.location
    roles = guess_roles(values.local, internal, where, notes)
    nodes = [cidr.network for text in roles["nodes"].ranges if text != UNKNOWN_RANGE and (cidr := cidr_of(text))]
    gateways = plan_gateways(values, nodes, options.public_ips, notes)
    remote_asn = mark_asn(values.peer_asn, "bgp.peerASN", notes)
    profile, profile_remark = mark_profile(values, remote_asn, options.profile, notes)
    remote_name = _remote_name(values, name, options, notes)
    keys = key_names(str(remote_name.value), gateways.of_tunnel)
    own = set(options.public_ips.values())
    tunnels = tuple(
        ImportedTunnel(
            gateway,
            mark_peer(tunnel, own, notes),
            mark_inside(tunnel, notes),
            Marked(key, "" if tunnel.key.text else "psk was missing; make one with the remote site"),
        )
        for tunnel, gateway, key in zip(values.tunnels, gateways.of_tunnel, keys, strict=True)
    )
    for value in values.advertised:
        note_complaint(read_cidr, value, "bgp.advertiseCidrs", notes)
    return Plan(
        name=name,
        namespace=_namespace(values, options, notes),
        networks=roles,
        local=_local(values),
        advertised=Ranges(tuple(value.text or "" for value in values.advertised)),
        interface=values.interface.text or "",
        gateways=gateways.gateways,
        local_asn=mark_asn(values.local_asn, "bgp.localASN", notes),
        internal_asn=mark_asn(values.internal_asn, "bgp.internalASN", notes),
        remote_name=remote_name,
        profile=profile,
        profile_remark=profile_remark,
        remote_asn=remote_asn,
        accepted=_accepted(values, options, notes),
        tunnels=tunnels,
    )


def _local(values: ChartValues) -> Ranges:
    ranges = tuple(value.text or "" for value in values.local)
    if not ranges:
        return Ranges(ranges, "empty in the chart; write every range of the cluster")
    given = all(value.given for value in values.local)
    return Ranges(ranges, "" if given else "missing, so the chart's own counted; compare with the cluster")


def _namespace(values: ChartValues, options: ImportOptions, notes: Notes) -> Marked:
    if options.namespace is not None:
        return Marked(options.namespace)
    message = f"the namespace is not in the values; {DEFAULT_NAMESPACE} is the default"
    hint = "`helm list -A` shows where the chart is; the new pods may live there or elsewhere"
    notes.add(NoteKind.UNKNOWN, values.location, message, hint)
    return Marked(DEFAULT_NAMESPACE, "not in the values; `helm list -A` shows where the chart is")


def _remote_name(values: ChartValues, name: str, options: ImportOptions, notes: Notes) -> Marked:
    if options.remote_name is not None:
        return Marked(options.remote_name)
    hint = "clusters that reach the same site must call it the same"
    message = f"the remote site has no name in the values; {name}-remote is made up"
    notes.add(NoteKind.UNKNOWN, values.location, message, f"import with --remote-name; {hint}")
    return Marked(f"{name}-remote", f"made up; {hint}")


def _accepted(values: ChartValues, options: ImportOptions, notes: Notes) -> Ranges:
    if options.accepted:
        return Ranges(options.accepted)
    message = "the chart takes whatever the peer announces, a default route and the cluster's own ranges too"
    hint = "import with --accept CIDR, or write the site's ranges in place of 0.0.0.0/0"
    notes.add(NoteKind.UNKNOWN, values.location, message, hint)
    return Ranges(("0.0.0.0/0",), "the chart took everything; write the site's ranges")
