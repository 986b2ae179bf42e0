"""Policies of one cluster about names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.inventory.fields import LABEL_PATTERN, SUBDOMAIN_PATTERN, shown
from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.inventory.model import SecretKey
from tunnelfleet.policies.places import BGP, GATEWAYS, remotes, tunnels
from tunnelfleet.policies.registry import Problem, Scope, policy

_LABEL_LENGTH = 63
_SUBDOMAIN_LENGTH = 253
_LABEL = re.compile(LABEL_PATTERN.strip("^$"))
_SUBDOMAIN = re.compile(SUBDOMAIN_PATTERN.strip("^$"))
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
# The longest name that a gateway's becomes part of; the DaemonSet ipsec-routes-<gateway> is as long.
_DEPLOYMENT = "ipsec-tunnel-"
# Gateways' names that would make two objects of one name, with the other object.
_TAKEN_GATEWAYS = {
    "nodes": "ipsec-routes-nodes is the DaemonSet of the other nodes",
    "agent": "ipsec-routes-agent is the ConfigMap of the route agent",
    "gateway": "ipsec-tunnel-gateway is the ConfigMap of the gateways' program",
    "router": "ipsec-tunnel-router is the ConfigMap of the gateways' routers",
}
# Flux and the API server act upon these labels; the generator sets those of the last two.
_TAKEN_LABELS = ("toolkit.fluxcd.io", "pod-security.kubernetes.io", "tunnelfleet", "app.kubernetes.io")
_TAKEN_NAMESPACES = ("default", "flux-system", "kube-node-lease", "kube-public", "kube-system")


@policy(
    "name-matches-folder",
    Scope.CLUSTER,
    asks="metadata.name is the name of the folder that cluster.yaml stands in.",
    why="Overlays, Flux objects and their paths are named after the one and looked for under the other.",
    failing="metadata:\n  name: iceland-staging\n",
    passing="metadata:\n  name: iceland-prod\n",
)
def name_matches_folder(loaded: LoadedCluster) -> Iterator[Problem]:
    if loaded.name != loaded.folder:
        yield Problem(
            ("metadata", "name"),
            f"the cluster is called {shown(loaded.name)}, but its folder {shown(loaded.folder)}",
            f"write name: {loaded.folder}, or rename the folder with `git mv`",
        )


@dataclass(frozen=True, slots=True)
class _Named:
    """A name in the file: what it names, and the longest it may be where that is less than usual."""

    path: YamlPath
    what: str
    text: str
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """A kind of name of RFC 1123; `joined_by` stands where a wrong name has its dots."""

    pattern: re.Pattern[str]
    meaning: str
    longest: int
    joined_by: str


_LABEL_RULE = _Rule(_LABEL, "made of lower-case letters, digits and inner dashes", _LABEL_LENGTH, "-")
_SUBDOMAIN_RULE = _Rule(_SUBDOMAIN, "a DNS name of lower-case letters, digits, dashes and dots", _SUBDOMAIN_LENGTH, ".")


def _labels(loaded: LoadedCluster) -> Iterator[_Named]:
    """Names that must be labels as of RFC 1123."""
    spec = loaded.cluster.spec
    yield _Named(("metadata", "name"), "the cluster's name", loaded.name)
    yield _Named(("spec", "namespace"), "the namespace", spec.namespace)
    for index, gateway in enumerate(spec.gateways):
        path: YamlPath = (*GATEWAYS, index, "name")
        yield _Named(path, "the gateway's name", gateway.name, _LABEL_LENGTH - len(_DEPLOYMENT))
    for placed in remotes(loaded):
        yield _Named((*placed.path, "name"), "the remote's name", placed.remote.name)


def _subdomains(loaded: LoadedCluster) -> Iterator[_Named]:
    """Names that must be subdomains as of RFC 1123."""
    for index, gateway in enumerate(loaded.cluster.spec.gateways):
        yield _Named((*GATEWAYS, index, "node"), "the node's name", gateway.node)
    for path, secret in _secrets(loaded):
        yield _Named((*path, "secretName"), "the Secret's name", secret.secret_name)


def _secrets(loaded: LoadedCluster) -> Iterator[tuple[YamlPath, SecretKey]]:
    yield (*BGP, "password"), loaded.cluster.spec.bgp.password
    for placed in remotes(loaded):
        if placed.remote.bgp_password is not None:
            yield (*placed.path, "bgpPassword"), placed.remote.bgp_password
    for tunnel in tunnels(loaded):
        yield (*tunnel.path, "presharedKey"), tunnel.tunnel.preshared_key


@policy(
    "kubernetes-names-valid",
    Scope.CLUSTER,
    asks="Names of clusters, gateways, remotes, nodes, namespace, Secrets and labels are ones that Kubernetes takes.",
    why=(
        "The API server refuses other names, and Flux with it the whole cluster (Kubernetes documentation, Object"
        " Names and IDs). Names end up in others, so a gateway's is shorter: ipsec-tunnel-<gateway>."
    ),
    failing="spec:\n  namespace: IPsec_Tunnel\n",
    passing="spec:\n  namespace: ipsec-tunnel\n",
)
def kubernetes_names_valid(loaded: LoadedCluster) -> Iterator[Problem]:
    for named in _labels(loaded):
        yield from _name_problems(named, _LABEL_RULE)
    namespace = loaded.cluster.spec.namespace
    if namespace in _TAKEN_NAMESPACES:
        yield Problem(
            ("spec", "namespace"),
            f"the namespace {namespace} is Kubernetes' or Flux's own, and would get the label for privileged pods",
            "write a namespace of its own, such as ipsec-tunnel",
        )
    for index, gateway in enumerate(loaded.cluster.spec.gateways):
        if gateway.name in _TAKEN_GATEWAYS:
            yield Problem(
                (*GATEWAYS, index, "name"),
                f"a gateway cannot be called `{gateway.name}`: {_TAKEN_GATEWAYS[gateway.name]}",
                "write another name, such as a",
            )
    for named in _subdomains(loaded):
        yield from _name_problems(named, _SUBDOMAIN_RULE)
    for path, secret in _secrets(loaded):
        yield from _secret_key_problems(_Named((*path, "key"), "the Secret's key", secret.key))
    for key, value in loaded.cluster.metadata.labels.items():
        yield from _kubernetes_label_problems(("metadata", "labels", key), key, value)


def _name_problems(named: _Named, rule: _Rule) -> Iterator[Problem]:
    longest = named.longest or rule.longest
    if not rule.pattern.fullmatch(named.text):
        message = f"{named.what} {shown(named.text)} is not {rule.meaning}"
    elif len(named.text) > longest:
        message = f"{named.what} has {len(named.text)} characters, at most {longest} fit"
    else:
        return
    parts = [re.sub(r"[^a-z0-9]+", "-", part).strip("-") for part in named.text.lower().split(".")]
    mended = rule.joined_by.join(part for part in parts if part)[:longest].strip("-.")
    yield Problem(named.path, message, f"write {mended}" if mended else "write a name of letters and digits")


def _secret_key_problems(named: _Named) -> Iterator[Problem]:
    text = named.text
    if not _SECRET_KEY.fullmatch(text) or text == "." or text.startswith("..") or len(text) > _SUBDOMAIN_LENGTH:
        mended = re.sub(r"[^-._a-zA-Z0-9]+", "-", text).strip("-.")[:_SUBDOMAIN_LENGTH]
        yield Problem(
            named.path,
            f"{named.what} {shown(text)} is not made of at most {_SUBDOMAIN_LENGTH} letters, digits, dots, dashes and"
            " underscores",
            f"write {mended}" if mended else "write a key of letters and digits",
        )


def _kubernetes_label_problems(path: YamlPath, key: str, value: str) -> Iterator[Problem]:
    prefix, slash, name = key.rpartition("/")
    named = bool(name) and len(name) <= _LABEL_LENGTH and _LABEL_VALUE.fullmatch(name)
    prefixed = not slash or (len(prefix) <= _SUBDOMAIN_LENGTH and _SUBDOMAIN.fullmatch(prefix))
    if not (named and prefixed):
        yield Problem(
            path,
            f"{shown(key)} is not a label's key: at most {_LABEL_LENGTH} letters, digits, dots, dashes and underscores,"
            " after a DNS name and a slash or none",
            "write a key like environment or example.com/environment",
            at_key=True,
        )
    owner = next((owner for owner in _TAKEN_LABELS if prefix == owner or prefix.endswith(f".{owner}")), None)
    if owner is not None:
        yield Problem(
            path,
            f"{shown(key)} belongs to {owner}: with it the label would steer what the objects are labelled for",
            "write a key of your own, like environment or example.com/environment",
            at_key=True,
        )
    if not _LABEL_VALUE.fullmatch(value) or len(value) > _LABEL_LENGTH:
        mended = re.sub(r"[^-A-Za-z0-9_.]+", "-", value)[:_LABEL_LENGTH].strip("-_.")
        yield Problem(
            path,
            f"{shown(value)} is not a label's value: at most {_LABEL_LENGTH} letters, digits, dots, dashes and"
            " underscores, a letter or digit at either end",
            f"write {mended}" if mended else "write letters and digits",
        )
