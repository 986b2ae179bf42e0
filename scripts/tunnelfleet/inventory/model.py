"""The model of cluster.yaml. Its descriptions are what editors show and what the reference in docs/ prints.

The model holds what a single value can say about itself; how values must fit together is the policies' part.
"""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tunnelfleet.inventory.fields import (
    Address,
    AsNumber,
    Cidr,
    Duration,
    InterfaceName,
    Name,
    Subdomain,
    read_identity,
)

ProfileName = Literal["gcp-ha-vpn", "aws-vpn", "azure-vpn", "generic"]
Initiator = Literal["local", "remote", "either"]


def alias(field: str) -> str:
    """snake_case to the key in the file: camelCase with ASN and IP in capitals."""
    camel = to_camel(field)
    for initialism in ("Asn", "Ip"):
        if camel.endswith(initialism):
            camel = camel[: -len(initialism)] + initialism.upper()
    return camel


class Model(BaseModel):
    """Strict and immutable: no unknown keys, no conversion between types."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=alias,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class SecretKey(Model):
    """One entry of a Kubernetes Secret in the cluster's namespace."""

    secret_name: Annotated[Subdomain, Field(examples=["ipsec-psk"])]
    """Name of the Secret, kept encrypted (or as an ExternalSecret) in clusters/<name>/secrets/."""
    key: Annotated[
        str,
        Field(
            min_length=1,
            examples=["gcp-us-central1-a"],
            json_schema_extra={"pattern": "^[-._a-zA-Z0-9]+$", "maxLength": 253},
        ),
    ]
    """Key within the Secret."""


class Metadata(Model):
    """What the cluster is called."""

    name: Annotated[Name, Field(examples=["iceland-prod"])]
    """The cluster's name: the name of its folder under clusters/."""
    labels: Annotated[dict[str, str], Field(examples=[{"environment": "prod"}])] = {}
    """Labels for people and selectors, such as environment or region."""


class Networks(Model):
    """The cluster's own address ranges."""

    nodes: Annotated[list[Cidr], Field(min_length=1)]
    """Ranges that the nodes' addresses come from."""
    pods: Annotated[list[Cidr], Field(min_length=1)]
    """Ranges that pods get addresses from."""
    services: Annotated[list[Cidr], Field(min_length=1)]
    """Ranges that Services get ClusterIPs from."""


class Gateway(Model):
    """A fixed node that ends tunnels."""

    name: Annotated[Name, Field(examples=["a"])]
    """Short name, the suffix of the gateway's Deployment: `a` gives ipsec-tunnel-a."""
    node: Annotated[Subdomain, Field(examples=["np-aaaaaaaa-1.eu-iceland1-a.compute.internal"])]
    """The Kubernetes node's name, as `kubectl get nodes` prints it."""
    internal_ip: Annotated[Address, Field(examples=["172.27.48.11"])]
    """The node's address inside the cluster's network."""
    public_ip: Annotated[Address, Field(examples=["203.0.113.11"])]
    """The public address that the remote site sees this gateway as, and its IKE identity."""


class ClusterBgp(Model):
    """The cluster's AS numbers."""

    local_asn: Annotated[AsNumber, Field(examples=[65010])]
    """The AS that remote sites peer with."""
    internal_asn: Annotated[AsNumber, Field(examples=[65020])]
    """The AS inside the cluster, never shown to a remote site."""
    password: SecretKey = SecretKey(secret_name="ipsec-bgp", key="password")
    """The password (TCP MD5) of the BGP sessions between nodes."""


class Inside(Model):
    """The addresses inside one tunnel, between which BGP runs."""

    local: Annotated[Address, Field(examples=["169.254.10.2"])]
    """The gateway's address."""
    peer: Annotated[Address, Field(examples=["169.254.10.1"])]
    """The remote site's address."""
    cidr: Annotated[Cidr, Field(examples=["169.254.10.0/30"])]
    """The /30 that both lie in, within 169.254.0.0/16."""


Identity = Annotated[
    str,
    Field(min_length=1, pattern=r"^@?[A-Za-z0-9]([A-Za-z0-9@._:-]*[A-Za-z0-9])?$", examples=["vpn.example.net"]),
    AfterValidator(read_identity),
]


class Identities(Model):
    """IKE identities where they are not the public addresses."""

    local: Identity | None = None
    """The gateway's identity; default its publicIP."""
    peer: Identity | None = None
    """The remote side's identity; default the peerAddress."""


class Tunnel(Model):
    """One IPsec tunnel from a gateway to the remote site."""

    gateway: Annotated[Name, Field(examples=["a"])]
    """Name of the gateway that ends the tunnel."""
    peer_address: Annotated[Address, Field(examples=["198.51.100.34"])]
    """The remote site's public address."""
    inside: Inside
    """The addresses inside the tunnel, between which BGP runs."""
    preshared_key: SecretKey
    """Where the pre-shared key is kept; the key itself is never written here."""
    identities: Identities = Identities()
    """IKE identities, where they are not publicIP and peerAddress."""


class Bfd(Model):
    """Bidirectional Forwarding Detection (RFC 5880) with the remote router."""

    interval: Annotated[int, Field(ge=10, le=60000)]
    """Milliseconds between packets, both ways."""
    multiplier: Annotated[int, Field(ge=2, le=255)]
    """Packets missed until the session is down."""


IkeProposal = Annotated[str, Field(pattern=r"^[a-z0-9_]+(-[a-z0-9_]+)+$", examples=["aes256gcm16-prfsha384-ecp384"])]
# An AEAD cipher alone is a whole proposal where the site has no forward secrecy.
EspProposal = Annotated[str, Field(pattern=r"^[a-z0-9_]+(-[a-z0-9_]+)*$", examples=["aes256gcm16-ecp384"])]
# strongSwan renews an SA in time only if there is some; AWS asks for 900 s at least.
Seconds = Annotated[int, Field(ge=300, le=86400)]


class Overrides(Model):
    """What this remote does differently from its profile; every other value stays the profile's."""

    ike_proposals: Annotated[list[IkeProposal], Field(min_length=1)] | None = None
    """IKE proposals in strongSwan's notation, the preferred first."""
    esp_proposals: Annotated[list[EspProposal], Field(min_length=1)] | None = None
    """ESP proposals in strongSwan's notation, the preferred first."""
    ike_lifetime: Seconds | None = None
    """Seconds that an IKE SA lives at most."""
    esp_lifetime: Seconds | None = None
    """Seconds that a CHILD SA lives at most."""
    dpd_delay: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Seconds without traffic after which the peer is asked whether it is alive."""
    replay_window: Annotated[int, Field(ge=1024, le=4096, multiple_of=32)] | None = None
    """Packets of the anti-replay window."""
    initiator: Initiator | None = None
    """Who starts IKE: the gateway, the remote site, or either."""
    keepalive: Annotated[int, Field(ge=1, le=21845)] | None = None
    """BGP keepalive interval in seconds."""
    hold: Annotated[int, Field(ge=3, le=65535)] | None = None
    """BGP hold time in seconds; at least three keepalives."""
    bfd: Bfd | Literal[False] | None = None
    """BFD towards the remote router, or false for none."""
    maximum_prefixes: Annotated[int, Field(ge=1, le=1000000)] | None = None
    """Prefixes taken from the remote site before the session is closed."""
    maximum_advertised: Annotated[int, Field(ge=1, le=1000000)] | None = None
    """Prefixes that the remote site takes from us."""
    inside_allowed: Annotated[list[Cidr], Field(min_length=1, examples=[["169.254.21.0/24"]])] | None = None
    """Ranges that addresses inside tunnels may come from, within 169.254.0.0/16."""
    mtu: Annotated[int, Field(ge=576, le=9000)] | None = None
    """Largest IP packet, in bytes, that is sent into the tunnel; the TCP MSS is 40 less."""


class Remote(Model):
    """A remote site; the same site wherever its name is the same in the fleet."""

    name: Annotated[Name, Field(examples=["gcp-us-central1"])]
    """Name of the site."""
    profile: ProfileName
    """What kind of VPN gateway the site runs; see docs/profiles.md."""
    asn: Annotated[AsNumber, Field(examples=[64514])]
    """The site's AS number."""
    accepted_cidrs: Annotated[list[Cidr], Field(min_length=1)]
    """Import allow-list: these ranges and more specifics of them are taken, nothing else."""
    tunnels: Annotated[list[Tunnel], Field(min_length=1)]
    """At least one tunnel for each of two gateways."""
    bgp_password: SecretKey | None = None
    """The password (TCP MD5) of the BGP sessions with the site, where it asks for one."""
    overrides: Overrides = Overrides()
    """What the site does differently from its profile."""


class Flux(Model):
    """How Flux keeps the cluster."""

    interval: Duration = "10m"
    """How often Flux compares the cluster with Git."""
    wave: Annotated[int, Field(ge=0, le=99)] = 0
    """Which ref the cluster follows: 0 the branch it was bootstrapped from, n the branch wave-<n>."""
    suspend: bool = False
    """True stops Flux from applying changes to this cluster."""


class Cilium(Model):
    """The cluster's CNI."""

    version: Annotated[str, Field(pattern=r"^1\.[0-9]+$")] = "1.17"
    """Minor version of Cilium: CiliumNodeConfig is v2alpha1 up to 1.16, v2 from 1.17."""
    masquerade: Literal["iptables", "bpf"] = "iptables"
    """What masquerades: `bpf` where ConfigMap cilium-config says enable-bpf-masquerade, whose agents do not start
    with the other's settings."""
    network_policies: bool = False
    """Generate CiliumNetworkPolicies for traffic to and from the remote sites."""


class Spec(Model):
    """The cluster's side of the tunnels and its remote sites."""

    namespace: Name = "ipsec-tunnel"
    """Namespace that everything but Cilium's settings lives in."""
    networks: Networks
    """The cluster's own address ranges."""
    local_cidrs: Annotated[list[Cidr], Field(min_length=1)]
    """What may talk to the remote sites; covers every range under networks."""
    advertised_cidrs: list[Cidr] = []
    """What BGP announces to the remote sites; default localCidrs, never more than them."""
    node_interface: InterfaceName = "ens3"
    """The nodes' network interface."""
    gateways: Annotated[list[Gateway], Field(min_length=2)]
    """At least two, on distinct nodes: the remote side needs static addresses."""
    bgp: ClusterBgp
    """The cluster's AS numbers."""
    remotes: Annotated[list[Remote], Field(min_length=1)]
    """One or more remote sites."""
    flux: Flux = Flux()
    """How Flux keeps the cluster."""
    cilium: Cilium = Cilium()
    """The cluster's CNI."""

    @property
    def announced(self) -> list[IPv4Interface]:
        """What BGP announces: advertisedCidrs, or localCidrs where there are none."""
        return self.advertised_cidrs or self.local_cidrs


class Cluster(Model):
    """A Kubernetes cluster and its tunnels to remote sites."""

    api_version: Literal["tunnelfleet/v1"]
    """Version of this format."""
    kind: Literal["Cluster"]
    """Kind of this file."""
    metadata: Metadata
    """What the cluster is called."""
    spec: Spec
    """The cluster's side of the tunnels and its remote sites."""
