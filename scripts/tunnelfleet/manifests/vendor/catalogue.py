"""Every schema of schemas/ and where it comes from. To follow a new release, change its version here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from tunnelfleet.manifests.schemas import KUBERNETES_MINORS, schema_paths
from tunnelfleet.manifests.vendor.crds import crd_schema
from tunnelfleet.manifests.vendor.golang import read_types
from tunnelfleet.manifests.vendor.kubernetes import API_PACKAGES, kind_schema, kubernetes_definitions
from tunnelfleet.manifests.vendor.kustomize import KUSTOMIZE_KINDS, kustomize_schema
from tunnelfleet.manifests.vendor.schema import Schema, file_bytes, without_prose
from tunnelfleet.manifests.vendor.sources import GoModule, NodePackage, Source

_APACHE = "Apache-2.0"

KUBERNETES_KINDS: Mapping[str, tuple[str, ...]] = {
    "v1": ("ConfigMap", "Namespace", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("DaemonSet", "Deployment"),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "policy/v1": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io/v1": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    "scheduling.k8s.io/v1": ("PriorityClass",),
}
_KUBERNETES: Mapping[str, GoModule] = {
    "1.30": GoModule(
        "k8s.io/kubernetes",
        "v1.30.0",
        _APACHE,
        "h1:u3Yw8rNlo2NDSGaDpoxoHXLPQnEu1tfqHATKOJe94HY=",
        "the fields of Kubernetes' own kinds in 1.30",
    ),
    "1.37": GoModule(
        "k8s.io/kubernetes",
        "v1.37.0",
        _APACHE,
        "h1:TDSD+Izz9inqs7SmtJCAu7L5/DuYW9hAZ3GBdF6Ddkw=",
        "the fields of Kubernetes' own kinds in 1.37",
    ),
}
_KUBERNETES_TYPES: Mapping[str, GoModule] = {
    "1.30": GoModule(
        "k8s.io/api",
        "v0.30.0",
        _APACHE,
        "h1:siWhRq7cNjy2iHssOB9SCGNCl2spiF1dO3dABqZ8niA=",
        "the values of their enumerations in 1.30",
    ),
    "1.37": GoModule(
        "k8s.io/api",
        "v0.37.0",
        _APACHE,
        "h1:Z//Vj9N7RA/yS2sDmxyeo7h+RR4zbUrd2vrd3Z0TbB4=",
        "the values of their enumerations in 1.37",
    ),
}
_KUSTOMIZE_API = GoModule(
    "sigs.k8s.io/kustomize/api",
    "v0.21.1",
    _APACHE,
    "h1:lzqbzvz2CSvsjIUZUBNFKtIMsEw7hVLJp0JeSIVmuJs=",
    "kustomize's Kustomization and Component",
)
_KUSTOMIZE_KYAML = GoModule(
    "sigs.k8s.io/kustomize/kyaml",
    "v0.21.1",
    _APACHE,
    "h1:IVlbmhC076nf6foyL6Taw4BkrLuEsXUXNpsE+ScX7fI=",
    "the resource identifiers inside them",
)
_FLUX_KUSTOMIZE = GoModule(
    "github.com/fluxcd/kustomize-controller",
    "v1.10.1",
    _APACHE,
    "h1:IjTnrkIy0ULJoTNC2ZKuMb32vkqj7dJ6zt6UqbTFxKA=",
    "Flux' Kustomization",
)
_FLUX_SOURCE = GoModule(
    "github.com/fluxcd/source-controller",
    "v1.10.1",
    _APACHE,
    "h1:vkYpgpLZu20LQ2UN4lPBdWH7sqTNdQ8FjcZD/HogN2E=",
    "Flux' GitRepository and OCIRepository",
)
_CILIUM_OLDEST = GoModule(
    "github.com/cilium/cilium",
    "v1.16.1",
    _APACHE,
    "h1:7FiLrRJbO3d/RE423FUN0GxhrFDQBYRwr1veHN7uBys=",
    "Cilium's kinds as the oldest supported release knows them",
)
_CILIUM_NEWEST = GoModule(
    "github.com/cilium/cilium",
    "v1.20.2",
    _APACHE,
    "h1:dqiEGIcXc+gqCLYG/l7VCFJ8GHyb4HUrwbZOpkX5dL8=",
    "CiliumCIDRGroup v2, which the oldest does not have",
)
_EXTERNAL_SECRETS = GoModule(
    "github.com/external-secrets/external-secrets",
    "v1.3.2",
    _APACHE,
    "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
    "ExternalSecret (v1beta1 is described but no longer served)",
)
_PROMETHEUS = GoModule(
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    _APACHE,
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
    "PodMonitor and PrometheusRule",
)
_SARIF = NodePackage(
    "@microsoft/jest-sarif",
    "1.0.0-beta.0",
    "MIT",
    "sha512-A1fOhPd6Ic5iDk4F9YPw1qNB4XF+7+IviR7xl8r2F6QzQkx5cpY9LsGk2rExiFIEcBbjpVnSmwWGBukASkiQ9A==",
    "SARIF 2.1.0",
)


@dataclass(frozen=True, slots=True)
class CustomResource:
    """A CustomResourceDefinition: the module and file that hold it, the versions wanted from it."""

    module: GoModule
    path: str
    versions: tuple[str, ...]


_CILIUM_CRDS = "pkg/k8s/apis/cilium.io/client/crds"
_FLUX_CRDS = "config/crd/bases"
_PROMETHEUS_CRDS = "example/prometheus-operator-crd/monitoring.coreos.com"
CUSTOM_RESOURCES = (
    CustomResource(_FLUX_KUSTOMIZE, f"{_FLUX_CRDS}/kustomize.toolkit.fluxcd.io_kustomizations.yaml", ("v1",)),
    CustomResource(_FLUX_SOURCE, f"{_FLUX_CRDS}/source.toolkit.fluxcd.io_gitrepositories.yaml", ("v1",)),
    CustomResource(_FLUX_SOURCE, f"{_FLUX_CRDS}/source.toolkit.fluxcd.io_ocirepositories.yaml", ("v1",)),
    CustomResource(_CILIUM_OLDEST, f"{_CILIUM_CRDS}/v2/ciliumnodeconfigs.yaml", ("v2", "v2alpha1")),
    CustomResource(_CILIUM_OLDEST, f"{_CILIUM_CRDS}/v2/ciliumnetworkpolicies.yaml", ("v2",)),
    CustomResource(_CILIUM_OLDEST, f"{_CILIUM_CRDS}/v2/ciliumclusterwidenetworkpolicies.yaml", ("v2",)),
    CustomResource(_CILIUM_OLDEST, f"{_CILIUM_CRDS}/v2alpha1/ciliumcidrgroups.yaml", ("v2alpha1",)),
    CustomResource(_CILIUM_NEWEST, f"{_CILIUM_CRDS}/v2/ciliumcidrgroups.yaml", ("v2",)),
    CustomResource(_EXTERNAL_SECRETS, "config/crds/bases/external-secrets.io_externalsecrets.yaml", ("v1", "v1beta1")),
    CustomResource(_PROMETHEUS, f"{_PROMETHEUS_CRDS}_podmonitors.yaml", ("v1",)),
    CustomResource(_PROMETHEUS, f"{_PROMETHEUS_CRDS}_prometheusrules.yaml", ("v1",)),
)
SOURCES: tuple[Source, ...] = (
    *_KUBERNETES.values(),
    *_KUBERNETES_TYPES.values(),
    _KUSTOMIZE_API,
    _KUSTOMIZE_KYAML,
    _FLUX_KUSTOMIZE,
    _FLUX_SOURCE,
    _CILIUM_OLDEST,
    _CILIUM_NEWEST,
    _EXTERNAL_SECRETS,
    _PROMETHEUS,
    _SARIF,
)


def all_schemas() -> Iterator[tuple[str, bytes]]:
    """Every schema as its path below schemas/ and its bytes. Raises VendorError."""
    by_minor = {minor: _definitions(minor) for minor in KUBERNETES_MINORS}
    for api_version, kinds in KUBERNETES_KINDS.items():
        for kind in kinds:
            paths = schema_paths(api_version, kind)
            for minor, path in zip(KUBERNETES_MINORS, paths, strict=True):
                yield path, file_bytes(kind_schema(api_version, kind, by_minor[minor]))
    for resource in CUSTOM_RESOURCES:
        crd = yaml.safe_load(resource.module.text(resource.path))
        for version in resource.versions:
            (path,) = schema_paths(f"{crd['spec']['group']}/{version}", crd["spec"]["names"]["kind"])
            yield path, file_bytes(crd_schema(crd, version, by_minor[KUBERNETES_MINORS[0]]))
    types = read_types([*_KUSTOMIZE_API.go_files("types"), *_KUSTOMIZE_KYAML.go_files("resid")])
    for kind, api_version in KUSTOMIZE_KINDS.items():
        (path,) = schema_paths(api_version, kind)
        yield path, file_bytes(kustomize_schema(kind, types))
    yield "sarif-2.1.0.json", file_bytes(_sarif())


def _definitions(minor: str) -> dict[str, Schema]:
    published = json.loads(_KUBERNETES[minor].text("api/openapi-spec/swagger.json"))["definitions"]
    module = _KUBERNETES_TYPES[minor]
    packages = {name: read_types(module.go_files(name)) for name in API_PACKAGES}
    return kubernetes_definitions(published, packages)


def _sarif() -> Schema:
    text = _SARIF.text("lib/schemas/sarif-2.1.0-rtm.5.json")
    # the expression of a language has a stray bracket, which strict validators refuse
    schema = without_prose(json.loads(text.replace("|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$", "(-[a-zA-Z]{2})?$")))
    # without an address, nothing is tempted to fetch it
    schema.pop("$id", None)
    return schema
