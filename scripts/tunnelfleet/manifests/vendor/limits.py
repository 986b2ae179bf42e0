"""What the API server refuses although the published definitions do not say so.

Sources: k8s.io/kubernetes pkg/apis/{core,apps}/validation and k8s.io/apimachinery pkg/util/validation,
apis/meta/v1/validation.
"""

from __future__ import annotations

from collections.abc import Mapping

from tunnelfleet.manifests import patterns
from tunnelfleet.manifests.vendor.schema import Schema

INTEGER_LIMITS: Mapping[str, Schema] = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
}

_PORT: Schema = {"minimum": 1, "maximum": 65535}
_NOT_NEGATIVE: Schema = {"minimum": 0}
_POSITIVE: Schema = {"minimum": 1}
_FILE_MODE: Schema = {"minimum": 0, "maximum": 0o777}
_DNS_LABEL: Schema = {"pattern": patterns.DNS_LABEL, "maxLength": 63}
_DNS_SUBDOMAIN: Schema = {"pattern": patterns.DNS_SUBDOMAIN, "maxLength": 253}
_SERVICE_NAME: Schema = {"pattern": patterns.SERVICE_NAME, "maxLength": 63}
# the names of RBAC objects are parts of a path, and may hold colons
_PATH_SEGMENT: Schema = {"pattern": patterns.PATH_SEGMENT, "not": {"enum": [".", ".."]}}
_LABELS: Schema = {
    "additionalProperties": {"type": "string", "pattern": patterns.LABEL_VALUE, "maxLength": 63},
    "propertyNames": {"pattern": patterns.LABEL_KEY},
}
_ENVIRONMENT_NAME: Schema = {"pattern": patterns.ENVIRONMENT_NAME}
_LABEL_OPERATORS: Schema = {"enum": ["DoesNotExist", "Exists", "In", "NotIn"]}

FIELD_LIMITS: Mapping[tuple[str, str], Schema] = {
    ("meta.v1.ObjectMeta", "labels"): _LABELS,
    ("meta.v1.ObjectMeta", "namespace"): _DNS_LABEL,
    ("meta.v1.LabelSelector", "matchLabels"): _LABELS,
    ("meta.v1.LabelSelectorRequirement", "operator"): _LABEL_OPERATORS,
    ("core.v1.Container", "name"): _DNS_LABEL,
    ("core.v1.Volume", "name"): _DNS_LABEL,
    ("core.v1.EnvVar", "name"): _ENVIRONMENT_NAME,
    ("core.v1.ContainerPort", "containerPort"): _PORT,
    ("core.v1.ContainerPort", "hostPort"): {"minimum": 0, "maximum": 65535},
    ("core.v1.ServicePort", "port"): _PORT,
    ("core.v1.GRPCAction", "port"): _PORT,
    ("core.v1.Probe", "initialDelaySeconds"): _NOT_NEGATIVE,
    ("core.v1.Probe", "timeoutSeconds"): _NOT_NEGATIVE,
    ("core.v1.Probe", "periodSeconds"): _NOT_NEGATIVE,
    ("core.v1.Probe", "successThreshold"): _NOT_NEGATIVE,
    ("core.v1.Probe", "failureThreshold"): _NOT_NEGATIVE,
    ("core.v1.Probe", "terminationGracePeriodSeconds"): _POSITIVE,
    ("core.v1.PodSpec", "terminationGracePeriodSeconds"): _NOT_NEGATIVE,
    ("core.v1.PodSpec", "containers"): {"minItems": 1},
    ("core.v1.PodSpec", "nodeSelector"): _LABELS,
    ("core.v1.ConfigMapVolumeSource", "defaultMode"): _FILE_MODE,
    ("core.v1.SecretVolumeSource", "defaultMode"): _FILE_MODE,
    ("core.v1.ProjectedVolumeSource", "defaultMode"): _FILE_MODE,
    ("core.v1.DownwardAPIVolumeSource", "defaultMode"): _FILE_MODE,
    ("core.v1.KeyToPath", "mode"): _FILE_MODE,
    ("core.v1.DownwardAPIVolumeFile", "mode"): _FILE_MODE,
    ("core.v1.WeightedPodAffinityTerm", "weight"): {"minimum": 1, "maximum": 100},
    ("core.v1.PreferredSchedulingTerm", "weight"): {"minimum": 1, "maximum": 100},
    ("core.v1.PodAffinityTerm", "topologyKey"): {"minLength": 1},
    ("core.v1.NodeSelector", "nodeSelectorTerms"): {"minItems": 1},
    ("core.v1.HostPathVolumeSource", "path"): {"minLength": 1},
    ("core.v1.VolumeMount", "mountPath"): {"minLength": 1},
    ("apps.v1.DeploymentSpec", "replicas"): _NOT_NEGATIVE,
    ("apps.v1.DeploymentSpec", "revisionHistoryLimit"): _NOT_NEGATIVE,
    ("apps.v1.DeploymentSpec", "minReadySeconds"): _NOT_NEGATIVE,
    ("apps.v1.DaemonSetSpec", "revisionHistoryLimit"): _NOT_NEGATIVE,
    ("apps.v1.DaemonSetSpec", "minReadySeconds"): _NOT_NEGATIVE,
    ("rbac.v1.PolicyRule", "verbs"): {"minItems": 1},
    ("rbac.v1.RoleRef", "kind"): {"enum": ["ClusterRole", "Role"]},
    ("rbac.v1.RoleRef", "apiGroup"): {"enum": ["rbac.authorization.k8s.io"]},
    ("rbac.v1.Subject", "kind"): {"enum": ["Group", "ServiceAccount", "User"]},
}

_NAME_LIMITS: Mapping[str, Schema] = {
    "Namespace": _DNS_LABEL,
    "Service": _SERVICE_NAME,
    "Role": _PATH_SEGMENT,
    "RoleBinding": _PATH_SEGMENT,
    "ClusterRole": _PATH_SEGMENT,
    "ClusterRoleBinding": _PATH_SEGMENT,
}


def name_limits(kind: str) -> Schema:
    """What the name of an object of this kind must look like; custom resources take DNS subdomains."""
    return _NAME_LIMITS.get(kind, _DNS_SUBDOMAIN)
