"""`tunnelfleet new`: from answers to a commented cluster.yaml.

The questions are the same whether they are answered by flags or at a prompt; each answer is text, or a list
of texts where a question takes several.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from tunnelfleet.inventory.fields import LABEL_PATTERN, InterfaceName, read_address, read_cidr, shown
from tunnelfleet.inventory.model import ProfileName
from tunnelfleet.inventory.writing import SCHEMA_LINE, Page, key_names, letters, mapping, scalar, sequence

Given = Mapping[str, str | Sequence[str]]
"""Answers by the key of their question."""
_SEPARATOR = re.compile(r"[,\s]+")


class AnswerError(ValueError):
    """An answer that cannot be used: what was found and expected, and what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """A node that ends tunnels."""

    node: str
    internal_ip: str
    public_ip: str


@dataclass(frozen=True, slots=True)
class TunnelAnswer:
    """A tunnel; `gateway` is the gateway's letter."""

    gateway: str
    peer_address: str
    local: str
    peer: str

    @property
    def cidr(self) -> str:
        """The /30 that the gateway's address inside the tunnel lies in."""
        return str(read_cidr(f"{self.local}/30").network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All that a new cluster.yaml needs; addresses and ranges as text that has been read once."""

    name: str
    nodes: tuple[str, ...]
    pods: tuple[str, ...]
    services: tuple[str, ...]
    gateways: tuple[GatewayAnswer, ...]
    remote_name: str
    remote_asn: int
    accepted: tuple[str, ...]
    tunnels: tuple[TunnelAnswer, ...]
    profile: ProfileName = "generic"
    namespace: str = "ipsec-tunnel"
    node_interface: str = "ens3"
    local_asn: int = 65010
    internal_asn: int = 65020
    cilium: str = "1.17"


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `key` is a field of Answers, `flag` answers it on the command line.

    `read` turns one text into the answer or raises AnswerError. A question of `least` 0 takes one answer; any
    other takes at least so many, and where `splits` is set one text may hold several, with commas between.
    `suggest` gives the default from what is answered so far, None where there is none.
    """

    key: str
    flag: str
    prompt: str
    read: Callable[[str], Any]
    suggest: Callable[[Given], str | None] = lambda given: None
    least: int = 0
    splits: bool = False

    @property
    def several(self) -> bool:
        return self.least > 0

    def texts(self, given: Given) -> list[str]:
        """What was answered, or else the default, a text for each answer."""
        raw = given.get(self.key) or self.suggest(given) or ()
        texts = [raw] if isinstance(raw, str) else list(raw)
        return [part for text in texts for part in _SEPARATOR.split(text.strip())] if self.splits else texts


def read_name(text: str) -> str:
    """A name that Kubernetes takes (RFC 1123 label)."""
    if not re.fullmatch(LABEL_PATTERN, text) or len(text) > 63:
        raise AnswerError(f"expected a name, found {shown(text)}", "at most 63 of a-z, 0-9 and inner dashes")
    return text


def read_node(text: str) -> str:
    """The name of a Kubernetes node (RFC 1123 subdomain)."""
    if len(text) > 253 or not all(re.fullmatch(LABEL_PATTERN, part) for part in text.split(".")):
        raise AnswerError(f"expected a node's name, found {shown(text)}", "copy it from `kubectl get nodes`")
    return text


def read_range(text: str) -> str:
    """An IPv4 range without host bits."""
    cidr = _field(read_cidr, text)
    if cidr.ip != cidr.network.network_address:
        raise AnswerError(f"{shown(text)} has bits set beyond its length", f"write {cidr.network}")
    return str(cidr)


def read_asn(text: str) -> int:
    """An AS number of 1 to 4294967295."""
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text) or int(text) > 2**32 - 1:
        raise AnswerError(f"expected an AS number, found {shown(text)}", "write a number of 1 to 4294967295")
    return int(text)


def read_profile(text: str) -> ProfileName:
    """One of the profiles' names."""
    names: tuple[ProfileName, ...] = get_args(ProfileName)
    if text not in names:
        raise AnswerError(f"expected a profile, found {shown(text)}", f"write one of {', '.join(names)}")
    return text


def read_gateway(text: str) -> GatewayAnswer:
    """NODE,INTERNAL-IP,PUBLIC-IP, with commas or spaces between."""
    node, internal_ip, public_ip = _parts(text, "NODE,INTERNAL-IP,PUBLIC-IP")
    return GatewayAnswer(read_node(node), read_ip(internal_ip), read_ip(public_ip))


def read_tunnel(text: str) -> TunnelAnswer:
    """GATEWAY,PEER-ADDRESS,INSIDE-LOCAL,INSIDE-PEER; the last two are the two hosts of a /30."""
    gateway, peer_address, local, peer = _parts(text, "GATEWAY,PEER-ADDRESS,INSIDE-LOCAL,INSIDE-PEER")
    if not re.fullmatch(r"[a-z]{1,2}", gateway):
        raise AnswerError(f"expected a gateway's letter, found {shown(gateway)}", "a is the first gateway")
    tunnel = TunnelAnswer(gateway, read_ip(peer_address), read_ip(local), read_ip(peer))
    hosts = [str(host) for host in read_cidr(tunnel.cidr).network.hosts()]
    if {tunnel.local, tunnel.peer} != set(hosts):
        hint = f"in {tunnel.cidr} they are {' and '.join(hosts)}"
        raise AnswerError(f"{tunnel.local} and {tunnel.peer} are not the two hosts of one /30", hint)
    return tunnel


def read_interface(text: str) -> str:
    """The name of a network interface."""
    try:
        return TypeAdapter(InterfaceName).validate_python(text)
    except ValidationError as error:
        context = error.errors()[0]["ctx"]
        raise AnswerError(context["message"], context["hint"]) from error


def read_minor(text: str) -> str:
    """A minor version of Cilium."""
    if not re.fullmatch(r"1\.[0-9]+", text):
        raise AnswerError(f"expected a minor version, found {shown(text)}", "write it like 1.17")
    return text


def _field(read: Callable[[Any], Any], text: str) -> Any:
    try:
        return read(text)
    except PydanticCustomError as error:
        context = error.context or {}
        raise AnswerError(str(context.get("message")), str(context.get("hint"))) from error


def read_ip(text: str) -> str:
    """An IPv4 address."""
    return str(_field(read_address, text))


def _parts(text: str, wanted: str) -> list[str]:
    parts = _SEPARATOR.split(text.strip())
    if len(parts) != wanted.count(",") + 1:
        raise AnswerError(f"expected {wanted}, found {shown(text)}", "put commas or spaces between them")
    return parts


def _always(text: str) -> Callable[[Given], str | None]:
    return lambda given: text


def _usual_asn(given: Given) -> str | None:
    """The AS number that the site has where nobody chose another."""
    return {"aws-vpn": "64512", "azure-vpn": "65515"}.get(str(given.get("profile")))


QUESTIONS = (
    Question("name", "NAME", "Name of the cluster", read_name),
    Question("nodes", "--nodes", "Ranges of the nodes' addresses", read_range, least=1, splits=True),
    Question("pods", "--pods", "Ranges of the pods' addresses", read_range, least=1, splits=True),
    Question("services", "--services", "Ranges of the Services' addresses", read_range, least=1, splits=True),
    Question(
        "gateways",
        "--gateway",
        "A gateway (the first becomes a): node name, internal address, public address",
        read_gateway,
        least=2,
    ),
    Question("local_asn", "--local-asn", "AS number of the cluster", read_asn, _always("65010")),
    Question("internal_asn", "--internal-asn", "AS number between the nodes", read_asn, _always("65020")),
    Question("remote_name", "--remote-name", "Name of the remote site", read_name),
    Question(
        "profile",
        "--profile",
        f"Its kind of VPN gateway ({', '.join(get_args(ProfileName))})",
        read_profile,
        _always("generic"),
    ),
    Question("remote_asn", "--remote-asn", "Its AS number", read_asn, _usual_asn),
    Question("accepted", "--accept", "Ranges that are taken from it", read_range, least=1, splits=True),
    Question(
        "tunnels",
        "--tunnel",
        "A tunnel: gateway, the site's public address, the gateway's and the site's address inside",
        read_tunnel,
        least=2,
    ),
    Question("namespace", "--namespace", "Namespace", read_name, _always("ipsec-tunnel")),
    Question("node_interface", "--node-interface", "The nodes' network interface", read_interface, _always("ens3")),
    Question("cilium", "--cilium", "Minor version of Cilium", read_minor, _always("1.17")),
)
"""All questions, in the order in which they are asked."""


def answers(given: Given) -> tuple[Answers | None, list[str]]:
    """The answers, defaults filled in, or a line for each that is missing or cannot be used."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for question in QUESTIONS:
        texts = question.texts(given)
        if len(texts) < max(question.least, 1):
            least = f" ({question.least} or more)" if question.least > 1 else ""
            problems.append(f"{question.flag}{least} is missing: {question.prompt}")
            continue
        read = []
        for text in texts:
            try:
                read.append(question.read(text))
            except AnswerError as error:
                problems.append(f"{question.flag}: {error.message}; {error.hint}")
        if len(read) == len(texts):
            values[question.key] = tuple(read) if question.several else read[0]
    return (None, problems) if problems else (Answers(**values), [])


def scaffold(given: Answers) -> str:
    """The text of cluster.yaml; the same answers always give the same text."""
    page = Page([SCHEMA_LINE])
    page.comment(0, f"After a change run `tunnelfleet generate {given.name}` and `tunnelfleet check`.")
    page.entry(0, "apiVersion", "tunnelfleet/v1")
    page.entry(0, "kind", "Cluster")
    page.entry(0, "metadata")
    page.entry(1, "name", scalar(given.name), "the folder's name")
    page.entry(0, "spec")
    page.entry(1, "namespace", scalar(given.namespace), "where everything but Cilium's settings lives")
    page.comment(1, "The cluster's own ranges.")
    page.entry(1, "networks")
    page.entry(2, "nodes", sequence(given.nodes))
    page.entry(2, "pods", sequence(given.pods))
    page.entry(2, "services", sequence(given.services))
    page.comment(1, "What may talk to the remote site; it covers every range above.")
    page.entry(1, "localCidrs", sequence([*given.nodes, *given.pods, *given.services]))
    page.comment(1, "What BGP announces: nothing here means localCidrs, and it is never more than them.")
    page.entry(1, "advertisedCidrs", "[]")
    page.entry(1, "nodeInterface", scalar(given.node_interface))
    page.comment(1, "Fixed nodes: the remote side needs static addresses. publicIP is what it sees a node as.")
    page.entry(1, "gateways")
    for index, gateway in enumerate(given.gateways):
        addresses = {"internalIP": gateway.internal_ip, "publicIP": gateway.public_ip}
        page.item(2, mapping({"name": letters(index), "node": gateway.node, **addresses}))
    page.comment(1, "Remote sites peer with localASN; internalASN stays between the nodes.")
    page.entry(1, "bgp", mapping({"localASN": given.local_asn, "internalASN": given.internal_asn}))
    page.comment(1, "One or more sites. A name stands for the same site in every cluster of the fleet.")
    page.entry(1, "remotes")
    _remote(page, given)
    page.comment(1, "Wave n follows the branch wave-<n>, wave 0 the branch that Flux was bootstrapped from.")
    page.entry(1, "flux", "{interval: 10m, wave: 0, suspend: false}")
    page.entry(1, "cilium", mapping({"version": given.cilium}))
    return page.text


def _remote(page: Page, given: Answers) -> None:
    page.entry(3, "name", scalar(given.remote_name), first=True)
    page.entry(3, "profile", scalar(given.profile), "its numbers: docs/profiles.md")
    page.entry(3, "asn", str(given.remote_asn))
    page.comment(3, "Taken from the site: these ranges and more specifics of them, nothing else.")
    page.entry(3, "acceptedCidrs", sequence(given.accepted))
    page.comment(3, "One tunnel or more on each of two gateways. presharedKey names an entry of a Secret.")
    page.entry(3, "tunnels")
    keys = key_names(given.remote_name, (tunnel.gateway for tunnel in given.tunnels))
    for tunnel, key in zip(given.tunnels, keys, strict=True):
        page.entry(5, "gateway", scalar(tunnel.gateway), first=True)
        page.entry(5, "peerAddress", tunnel.peer_address)
        inside = {"local": tunnel.local, "peer": tunnel.peer, "cidr": tunnel.cidr}
        page.entry(5, "inside", mapping(inside))
        page.entry(5, "presharedKey", mapping({"secretName": "ipsec-psk", "key": key}))


def next_steps(given: Answers) -> list[str]:
    """What is left to do once the file is written, in order, with the commands."""
    secret = f"clusters/{given.name}/secrets/secret-ipsec"
    keys = key_names(given.remote_name, (tunnel.gateway for tunnel in given.tunnels))
    return [
        f"put the pre-shared keys {', '.join(keys)} into Secret ipsec-psk: sops {secret}-psk.yaml",
        f"put a password for BGP between the nodes into Secret ipsec-bgp: sops {secret}-bgp.yaml",
        f"write the manifests: tunnelfleet generate {given.name}",
        f"see whether all is well: tunnelfleet check {given.name}",
    ]
