"""The cluster's Cilium settings, and on demand a policy that pods can be given."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tunnelfleet.generate.files import Files, manifest
from tunnelfleet.generate.topology import Topology
from tunnelfleet.prefixes import collapse, merge

NAME = "ipsec-tunnel"
TUNNEL_INTERFACE = "ss0"
ACCESS_LABEL = {"tunnelfleet/remote-access": "allowed"}
"""Pods with this label are the subject of the generated policy."""

_KUSTOMIZATION = "kustomize.config.k8s.io/v1beta1"
_FIRST_WITH_V2 = (1, 17)


def cilium_files(topology: Topology) -> Files:
    """The folder's kustomization.yaml and what it names.

    These resources live outside the cluster's namespace, so no kustomization above may set one.
    """
    version = node_config_version(topology.cluster.spec.cilium.version)
    schemas = "../../../schemas"
    files = {
        "ciliumnodeconfig.yaml": manifest(
            topology.name,
            {
                "apiVersion": f"cilium.io/{version}",
                "kind": "CiliumNodeConfig",
                "metadata": {"name": NAME, "namespace": "kube-system"},
                "spec": {"defaults": node_settings(topology)},
            },
            f"{schemas}/crds/cilium.io/ciliumnodeconfig-{version}.json",
        )
    }
    resources = ["../../../base/cilium"]
    if topology.cluster.spec.cilium.network_policies:
        files["ciliumclusterwidenetworkpolicy.yaml"] = manifest(
            topology.name,
            network_policy(topology),
            f"{schemas}/crds/cilium.io/ciliumclusterwidenetworkpolicy-v2.json",
        )
        resources.append("ciliumclusterwidenetworkpolicy.yaml")
    files["kustomization.yaml"] = manifest(
        topology.name,
        {
            "apiVersion": _KUSTOMIZATION,
            "kind": "Kustomization",
            "resources": resources,
            "patches": [*_other_version(version), {"path": "ciliumnodeconfig.yaml"}],
        },
        f"{schemas}/kustomize/kustomization-v1beta1.json",
    )
    return files


def node_config_version(cilium: str) -> str:
    """The version in which this minor release of Cilium serves CiliumNodeConfig."""
    major, minor = cilium.split(".")
    return "v2" if (int(major), int(minor)) >= _FIRST_WITH_V2 else "v2alpha1"


def _other_version(version: str) -> list[dict[str, Any]]:
    if version == "v2":
        return []
    # A merge patch cannot change what it is matched by; it comes after this one and names the new version.
    operation = f"- op: replace\n  path: /apiVersion\n  value: cilium.io/{version}\n"
    return [{"target": {"kind": "CiliumNodeConfig"}, "patch": operation}]


def node_settings(topology: Topology) -> dict[str, str]:
    """Keys of ConfigMap cilium-config, which depend on the cluster."""
    interface = topology.cluster.spec.node_interface
    # These replace Cilium's own choice, so the node's interface is named too; ss0 is where remote sites reach Services.
    devices = {"devices": f"{interface} {TUNNEL_INTERFACE}"}
    return devices | unmasqueraded(topology.accepted, interface, topology.cluster.spec.cilium.masquerade)


def unmasqueraded(accepted: Sequence[IPv4Network], interface: str, masquerade: str) -> dict[str, str]:
    """The setting that keeps the gateways' own pods from being masqueraded towards remote sites.

    `ipv4-native-routing-cidr` holds with iptables and BPF but is one range. Several ranges: with iptables only what
    leaves by the node's interface is masqueraded; with BPF the range is widened to all of them (Cilium, masquerading).
    """
    whole = collapse(accepted)
    if len(whole) > 1 and masquerade == "iptables":
        return {"egress-masquerade-interfaces": interface}
    return {"ipv4-native-routing-cidr": str(smallest_cover(whole))}


def smallest_cover(ranges: Sequence[IPv4Network]) -> IPv4Network:
    """The longest prefix that holds all the ranges, of which there must be one at least."""
    spans = merge(ranges)
    first, last = spans[0][0], spans[-1][1] - 1
    length = 32 - (first ^ last).bit_length()
    return IPv4Network((IPv4Address(first), length), strict=False)


def network_policy(topology: Topology) -> dict[str, Any]:
    """Lets pods that carry `ACCESS_LABEL`, in any namespace, talk to the remote sites both ways.

    What comes from another node's tunnel is `world` to Cilium, whatever its address (cilium #46934), so ingress cannot
    name the remote ranges; the gateways let nothing else in. Default deny stays as the pod's other policies have it.
    """
    remotes = [{"cidr": str(network)} for network in topology.accepted]
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "ipsec-remote-access"},
        "spec": {
            "endpointSelector": {"matchLabels": ACCESS_LABEL},
            "enableDefaultDeny": {"ingress": False, "egress": False},
            "ingress": [{"fromEntities": ["world"]}],
            "egress": [{"toCIDRSet": remotes}],
        },
    }
