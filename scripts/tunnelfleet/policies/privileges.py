"""What each pod may do beyond an ordinary one, and why: the list behind `privileges-allow-listed`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunnelfleet.inventory.document import YamlPath

Reasons = Mapping[str, str]
"""What is allowed -> why."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The exceptions of one kind of pod, each with its reason."""

    host_network: str
    capabilities: Mapping[str, Reasons]
    """By container."""
    host_paths: Reasons
    unconfined: Reasons
    """Containers without the runtime's seccomp profile."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A privilege that is not on the list; `path` leads to it within the pod's spec."""

    path: YamlPath
    message: str


_FRR: Reasons = {
    "NET_ADMIN": "zebra reads routes and links and sets socket options",
    "NET_RAW": "BFD opens raw sockets",
    "NET_BIND_SERVICE": "BGP listens on port 179",
    "SYS_ADMIN": "FRR's daemons do not start without it (FRR, lib/privs.c)",
    "SETUID": "the daemons change to user frr",
    "SETGID": "the daemons change to group frr",
    "CHOWN": "the daemons give their folders to user frr",
    "DAC_OVERRIDE": "root in the container opens the sockets of user frr for vtysh",
    "KILL": "the start script ends the daemons, which run as user frr",
}
ALLOWED: Mapping[tuple[str, str], Allowed] = {
    ("DaemonSet", "ipsec-routes"): Allowed(
        host_network="the routes are the node's",
        capabilities={"frr": _FRR, "agent": {"NET_ADMIN": "routes, nexthop objects, rules, the neighbour entry"}},
        host_paths={},
        unconfined={},
    ),
}
_NOTHING = Allowed(host_network="", capabilities={}, host_paths={}, unconfined={})


def refused_privileges(kind: str, name: str, pod: Mapping[str, Any]) -> Iterator[Refused]:
    """What the pod of workload `kind` `name` has beyond its list."""
    allowed = next((one for (of, base), one in ALLOWED.items() if of == kind and name.startswith(f"{base}-")), _NOTHING)
    if pod.get("hostNetwork") and not allowed.host_network:
        yield Refused(("hostNetwork",), "shares the node's network")
    for key, what in (("hostPID", "processes"), ("hostIPC", "interprocess communication")):
        if pod.get(key):
            yield Refused((key,), f"shares the node's {what}")
    if pod.get("automountServiceAccountToken") is not False:
        yield Refused(("automountServiceAccountToken",), "gets a token for the Kubernetes API: write false")
    for number, volume in enumerate(pod.get("volumes") or []):
        path = (volume.get("hostPath") or {}).get("path")
        if path is not None and path not in allowed.host_paths:
            yield Refused(("volumes", number), f"mounts {path} of the node")
    for section in ("initContainers", "containers"):
        for number, container in enumerate(pod.get(section) or []):
            for refused in _container(container, pod, allowed):
                yield Refused((section, number, *refused.path), refused.message)


def _container(container: Mapping[str, Any], pod: Mapping[str, Any], allowed: Allowed) -> Iterator[Refused]:
    name = str(container.get("name"))
    context = container.get("securityContext") or {}
    here: YamlPath = ("securityContext",)
    if context.get("privileged"):
        yield Refused((*here, "privileged"), f"container {name} is privileged")
    if context.get("allowPrivilegeEscalation") is not False:
        yield Refused((*here, "allowPrivilegeEscalation"), f"container {name} may gain privileges: write false")
    if context.get("readOnlyRootFilesystem") is not True:
        yield Refused((*here, "readOnlyRootFilesystem"), f"container {name} may write its root file system: write true")
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield Refused((*here, "capabilities"), f"container {name} keeps the runtime's capabilities: drop [ALL]")
    for number, capability in enumerate(capabilities.get("add") or []):
        if capability not in allowed.capabilities.get(name, {}):
            yield Refused((*here, "capabilities", "add", number), f"container {name} has capability {capability}")
    profile = (context.get("seccompProfile") or (pod.get("securityContext") or {}).get("seccompProfile") or {}).get(
        "type"
    )
    if profile not in ("RuntimeDefault", "Localhost") and name not in allowed.unconfined:
        yield Refused((*here, "seccompProfile"), f"container {name} has no seccomp profile: write RuntimeDefault")
    for number, port in enumerate(container.get("ports") or []):
        if port.get("hostPort") and not pod.get("hostNetwork"):
            yield Refused(("ports", number), f"container {name} opens port {port['hostPort']} of the node")
