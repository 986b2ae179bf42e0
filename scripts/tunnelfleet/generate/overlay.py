"""All generated files of one cluster: its overlay, one folder per gateway, and its Flux objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunnelfleet.generate.cilium import cilium_files
from tunnelfleet.generate.files import OVERLAYS, Files, manifest
from tunnelfleet.generate.flux import FLUX_NAMESPACE, flux_files
from tunnelfleet.generate.gateway import gateway_files
from tunnelfleet.generate.routes import client_files, reflector_files
from tunnelfleet.generate.topology import PlannedGateway, Topology
from tunnelfleet.inventory.loading import CLUSTERS, LoadedCluster
from tunnelfleet.inventory.secrets import SecretFolder, read_secrets

# What a cluster has once: the programs that pods mount, and how many gateways may be away at a time.
SHARED = ("disruption", "strongswan/gateway", "frr/router", "routes/agent")


def generate(root: Path, loaded: LoadedCluster) -> Files:
    """The cluster's generated files, paths relative to the repository's root.

    They depend on the inventory, the encrypted secrets beside it, and on Flux being bootstrapped there.
    """
    topology = Topology(loaded.cluster)
    secrets = read_secrets(root, loaded.folder)
    bootstrapped = (root / CLUSTERS / loaded.folder / FLUX_NAMESPACE / "kustomization.yaml").is_file()
    overlay = overlay_files(topology, secrets)
    flux = flux_files(topology, secrets, bootstrapped)
    return _below(f"{OVERLAYS}/{topology.name}", overlay) | _below(f"{CLUSTERS}/{topology.name}", flux)


def overlay_files(topology: Topology, secrets: SecretFolder) -> Files:
    """The files of overlays/<name>/."""
    password = [topology.cluster.spec.bgp.password]
    routes_digest = secrets.digest(password)
    files: Files = {"kustomization.yaml": _overlay(topology)}
    for gateway in topology.gateways:
        folder = f"gateway-{gateway.name}"
        files |= _below(folder, gateway_files(topology, gateway, secrets.digest(gateway.secret_keys)))
        files |= _below(folder, reflector_files(topology, gateway, routes_digest))
        files[f"{folder}/kustomization.yaml"] = _gateway(topology, gateway)
    files["shared/kustomization.yaml"] = _shared(topology)
    files |= _below("routes", client_files(topology, routes_digest))
    files["routes/kustomization.yaml"] = _routes(topology)
    files |= _below("cilium", cilium_files(topology))
    return files


def _below(folder: str, files: Files) -> Files:
    return {f"{folder}/{path}": text for path, text in files.items()}


def _kustomization(topology: Topology, depth: int, data: dict[str, Any]) -> str:
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    schema = "../" * (depth + 2) + "schemas/kustomize/kustomization-v1beta1.json"
    return manifest(topology.name, head | data, schema)


def _overlay(topology: Topology) -> str:
    gateways = [f"gateway-{gateway.name}" for gateway in topology.gateways]
    labels = {"app.kubernetes.io/part-of": "tunnelfleet", "tunnelfleet/cluster": topology.name}
    return _kustomization(
        topology,
        0,
        {
            "resources": ["shared", *gateways, "routes", "cilium"],
            "components": ["../../base/image"],
            "labels": [{"pairs": labels}],
        },
    )


def _shared(topology: Topology) -> str:
    resources = [f"../../../base/{path}" for path in SHARED]
    return _kustomization(topology, 1, {"resources": resources, "namespace": topology.cluster.spec.namespace})


def _gateway(topology: Topology, gateway: PlannedGateway) -> str:
    return _kustomization(
        topology,
        1,
        {
            "resources": ["../../../base/strongswan", "../../../base/routes"],
            "components": ["../../../base/frr", "../../../base/routes/reflector"],
            "namespace": topology.cluster.spec.namespace,
            "nameSuffix": f"-{gateway.name}",
            "labels": [{"pairs": {"tunnelfleet/gateway": gateway.name}, "includeSelectors": True}],
            "configMapGenerator": [
                {"name": "ipsec-tunnel", "files": ["swanctl.conf", "frr.conf", "gateway.json"]},
                {"name": "ipsec-routes", "files": ["frr.conf=reflector.conf", "agent.json"]},
            ],
            "patches": [{"path": "deployment.yaml"}, {"path": "daemonset.yaml"}],
        },
    )


def _routes(topology: Topology) -> str:
    return _kustomization(
        topology,
        1,
        {
            "resources": ["../../../base/routes"],
            "namespace": topology.cluster.spec.namespace,
            "nameSuffix": "-nodes",
            "labels": [{"pairs": {"tunnelfleet/role": "client"}, "includeSelectors": True}],
            "configMapGenerator": [{"name": "ipsec-routes", "files": ["frr.conf", "agent.json"]}],
            "patches": [{"path": "daemonset.yaml"}],
        },
    )
