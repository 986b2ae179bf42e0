"""The Flux objects of a cluster, and the kustomization.yaml that keeps cluster.yaml from being applied."""

from __future__ import annotations

from typing import Any

from tunnelfleet.generate.files import Files, manifest, yaml_text
from tunnelfleet.generate.topology import Topology
from tunnelfleet.inventory.secrets import SecretFolder

FLUX_NAMESPACE = "flux-system"
SOURCE = {"kind": "GitRepository", "name": FLUX_NAMESPACE}
AGE_KEY_SECRET = "sops-age"


def flux_files(topology: Topology, secrets: SecretFolder, bootstrapped: bool) -> Files:
    """The generated files of clusters/<name>/; `bootstrapped`: Flux has put its own flux-system there."""
    return {
        "kustomization.yaml": _root(topology, bootstrapped),
        "namespace.yaml": _namespace(topology),
        "flux-secrets.yaml": _secrets(topology, secrets),
        "flux-tunnel.yaml": _tunnel(topology),
        "secrets/kustomization.yaml": _secret_list(topology, secrets),
    }


def _root(topology: Topology, bootstrapped: bool) -> str:
    resources = ["namespace.yaml", "flux-secrets.yaml", "flux-tunnel.yaml"]
    data: dict[str, Any] = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    data["resources"] = [FLUX_NAMESPACE, *resources] if bootstrapped else resources
    wave = topology.cluster.spec.flux.wave
    if bootstrapped and wave:
        patch = {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": FLUX_NAMESPACE, "namespace": FLUX_NAMESPACE},
            "spec": {"ref": {"branch": f"wave-{wave}"}},
        }
        data["patches"] = [{"target": SOURCE, "patch": yaml_text(patch)}]
    return manifest(topology.name, data, "../../schemas/kustomize/kustomization-v1beta1.json")


def _labels(topology: Topology) -> dict[str, str]:
    labels = dict(sorted(topology.cluster.metadata.labels.items()))
    return {**labels, "app.kubernetes.io/part-of": "tunnelfleet", "tunnelfleet/cluster": topology.name}


def _namespace(topology: Topology) -> str:
    data = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": topology.cluster.spec.namespace,
            "labels": {
                **_labels(topology),
                # Host networking and network namespaces need the privileged level (Pod Security Standards).
                "pod-security.kubernetes.io/enforce": "privileged",
            },
            # Deleting the cluster's folder must not delete a namespace that may hold other things.
            "annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"},
        },
    }
    return manifest(topology.name, data, "../../schemas/kubernetes/v1.37/namespace-v1.json")


def _kustomization(topology: Topology, name: str, path: str, **more: Any) -> str:
    flux = topology.cluster.spec.flux
    spec: dict[str, Any] = {
        "interval": flux.interval,
        "retryInterval": "2m",
        "timeout": "10m",
        "path": path,
        "prune": True,
        "wait": True,
        "suspend": flux.suspend,
        "sourceRef": SOURCE,
        **more,
    }
    data = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": FLUX_NAMESPACE, "labels": _labels(topology)},
        "spec": spec,
    }
    schema = "../../schemas/crds/kustomize.toolkit.fluxcd.io/kustomization-v1.json"
    return manifest(topology.name, data, schema)


def _secrets(topology: Topology, secrets: SecretFolder) -> str:
    decryption = {"decryption": {"provider": "sops", "secretRef": {"name": AGE_KEY_SECRET}}}
    path = f"./clusters/{topology.name}/secrets"
    return _kustomization(topology, "ipsec-secrets", path, **(decryption if secrets.decrypts else {}))


def _tunnel(topology: Topology) -> str:
    return _kustomization(
        topology, "ipsec-tunnel", f"./overlays/{topology.name}", dependsOn=[{"name": "ipsec-secrets"}]
    )


def _secret_list(topology: Topology, secrets: SecretFolder) -> str:
    data = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(secrets.files),
    }
    return manifest(topology.name, data, "../../../schemas/kustomize/kustomization-v1beta1.json")
