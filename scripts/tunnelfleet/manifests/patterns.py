"""Regular expressions of what Kubernetes accepts, and what each asks for in plain words.

Sources: k8s.io/apimachinery pkg/util/validation (names and labels), pkg/api/resource (quantities).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

QUANTITY = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
BASE64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
SERVICE_NAME = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
PATH_SEGMENT = "^[^/%]+$"
LABEL_KEY = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$"
)
LABEL_VALUE = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
ENVIRONMENT_NAME = "^[^=]+$"
FLUX_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"

PLAIN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        QUANTITY: "a quantity such as 100m, 1.5 or 64Mi",
        BASE64: "base64 (or write the plain value under stringData)",
        DNS_LABEL: "lower-case letters, digits and hyphens, a letter or digit at both ends",
        DNS_SUBDOMAIN: "lower-case letters, digits, hyphens and dots, a letter or digit at both ends",
        SERVICE_NAME: "lower-case letters, digits and hyphens, a letter first",
        PATH_SEGMENT: "a name without / and %",
        LABEL_KEY: "a label key: an optional domain and /, then at most 63 letters, digits, '-', '_' or '.'",
        LABEL_VALUE: "a label value: letters, digits, '-', '_' and '.', a letter or digit at both ends",
        ENVIRONMENT_NAME: "a name without =",
        FLUX_DURATION: "a duration such as 10m or 1h30m",
    }
)
