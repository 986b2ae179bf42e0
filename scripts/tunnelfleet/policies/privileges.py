"""What each pod may do beyond an ordinary one, and why: the list behind `privileges-allow-listed`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.manifests.pods import Container, Pod
from tunnelfleet.manifests.rendered import Manifest, at, mapping, sequence

Reasons = Mapping[str, str]
"""What is allowed -> why."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The exceptions of one kind of pod, each with its reason."""

    host_network: str = ""
    capabilities: Mapping[str, Reasons] = field(default_factory=dict)
    """By container."""
    host_paths: Reasons = field(default_factory=dict)
    without_apparmor: Reasons = field(default_factory=dict)
    """Containers without the runtime's AppArmor profile."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A privilege that is not on the list; `path` leads to it within the manifest."""

    path: YamlPath
    message: str
    instead: str = ""
    """What to write, where it is not simply left out."""


_SYS_ADMIN_FRR = "FRR's daemons do not start without it (FRR, lib/privs.c)"
ALLOWED: Mapping[tuple[str, str], Allowed] = {
    ("Deployment", "ipsec-tunnel"): Allowed(
        host_network="IKE and ESP use the node's own address, so that nothing but the cloud's 1:1 NAT is between",
        capabilities={
            "strongswan": {
                "NET_ADMIN": "security associations and policies, interfaces, routes, packet filter, sysctls",
                "NET_BIND_SERVICE": "IKE's port 500",
                "SYS_ADMIN": "makes and enters network namespace strongswan, mounts its name",
            },
            "frr": {
                "NET_ADMIN": "zebra's routes and links, TCP MD5",
                "NET_RAW": "BFD's sockets",
                "NET_BIND_SERVICE": "BGP's port 179",
                "SYS_ADMIN": f"enters the network namespace; {_SYS_ADMIN_FRR}",
                "SETUID": "the daemons change to user frr",
                "SETGID": "the daemons change to group frr",
                "KILL": "ends the daemons, which are another user's",
            },
        },
        without_apparmor={
            "strongswan": "the default profile forbids mount, by which a network namespace gets its name"
        },
    ),
    ("DaemonSet", "ipsec-routes"): Allowed(
        host_network="the routes are the node's",
        capabilities={
            "frr": {
                "NET_ADMIN": "zebra reads routes and links and sets socket options",
                "NET_RAW": "BFD's sockets",
                "NET_BIND_SERVICE": "BGP's port 179",
                "SYS_ADMIN": _SYS_ADMIN_FRR,
                "SETUID": "the daemons change to user frr",
                "SETGID": "the daemons change to group frr",
                "KILL": "the start script ends the daemons, which run as user frr",
            },
            "agent": {
                "NET_ADMIN": "routes, nexthop objects, rules and the neighbour entry",
            },
        },
    ),
}
_NOTHING = Allowed()
_RIGHTS = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
_SHARED = {
    "hostPID": "sees the node's processes",
    "hostIPC": "shares memory with the node's processes",
    "shareProcessNamespace": "lets its containers see each other's processes",
}
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def allowed_for(manifest: Manifest) -> Allowed:
    """The exceptions that the list has for a workload; its name is the list's with something added."""
    for (kind, name), allowed in ALLOWED.items():
        if manifest.kind == kind and manifest.name.startswith(f"{name}-"):
            return allowed
    return _NOTHING


def refused_rights(manifest: Manifest) -> Iterator[Refused]:
    """What an object gives beyond its list in the Kubernetes API itself."""
    if manifest.kind in _RIGHTS:
        yield Refused((), "gives rights in the Kubernetes API, which nothing here needs")


def refused_privileges(pod: Pod) -> Iterator[Refused]:
    """What a pod has beyond its list."""
    allowed = allowed_for(pod.manifest)
    if pod.spec.get("hostNetwork") and not allowed.host_network:
        yield Refused((*pod.path, "hostNetwork"), "uses the node's network")
    for key, message in _SHARED.items():
        if pod.spec.get(key):
            yield Refused((*pod.path, key), message)
    if pod.spec.get("automountServiceAccountToken") is not False:
        message = "gets a token for the Kubernetes API"
        yield Refused((*pod.path, "automountServiceAccountToken"), message, "write automountServiceAccountToken: false")
    context = mapping(pod.spec.get("securityContext"))
    for key, message in (("sysctls", "sets sysctls"), ("seLinuxOptions", "chooses its own SELinux label")):
        if context.get(key):
            yield Refused((*pod.path, "securityContext", key), message)
    yield from _volumes(pod, allowed)
    for container in pod.containers:
        yield from _container(container, pod, allowed)


def _volumes(pod: Pod, allowed: Allowed) -> Iterator[Refused]:
    for number, volume in enumerate(sequence(pod.spec.get("volumes"))):
        path: YamlPath = (*pod.path, "volumes", number)
        if "hostPath" in mapping(volume):
            mounted = at(volume, ("hostPath", "path"))
            if not isinstance(mounted, str) or mounted not in allowed.host_paths:
                yield Refused((*path, "hostPath"), f"mounts {mounted} of the node")
        for source in sequence(at(volume, ("projected", "sources"))):
            if "serviceAccountToken" in mapping(source):
                yield Refused((*path, "projected"), "mounts a token for the Kubernetes API")


def _container(container: Container, pod: Pod, allowed: Allowed) -> Iterator[Refused]:
    name = container.name
    context = mapping(container.data.get("securityContext"))
    here: YamlPath = (*container.path, "securityContext")
    if context.get("privileged"):
        yield Refused((*here, "privileged"), f"container {name} is privileged")
    for key, value, message in (
        ("allowPrivilegeEscalation", False, "may gain privileges"),
        ("readOnlyRootFilesystem", True, "may write its root file system"),
    ):
        if context.get(key) is not value:
            yield Refused((*here, key), f"container {name} {message}", f"write {key}: {str(value).lower()}")
    if context.get("procMount") not in (None, "Default"):
        yield Refused((*here, "procMount"), f"container {name} sees all of /proc")
    if context.get("seLinuxOptions"):
        yield Refused((*here, "seLinuxOptions"), f"container {name} chooses its own SELinux label")
    capabilities = mapping(context.get("capabilities"))
    if "ALL" not in sequence(capabilities.get("drop")):
        message = f"container {name} keeps the runtime's capabilities"
        yield Refused((*here, "capabilities"), message, "write capabilities: {drop: [ALL]}")
    for number, capability in enumerate(sequence(capabilities.get("add"))):
        if not isinstance(capability, str) or capability not in allowed.capabilities.get(name, {}):
            yield Refused((*here, "capabilities", "add", number), f"container {name} has capability {capability}")
    yield from _profiles(container, pod, allowed)
    for number, port in enumerate(sequence(container.data.get("ports"))):
        if mapping(port).get("hostPort") and not pod.spec.get("hostNetwork"):
            message = f"container {name} opens port {mapping(port)['hostPort']} of the node"
            yield Refused((*container.path, "ports", number), message)


def _profiles(container: Container, pod: Pod, allowed: Allowed) -> Iterator[Refused]:
    """The profiles of the runtime that hold a container: its own, else the pod's."""

    def profile(key: str) -> tuple[Any, YamlPath]:
        own, shared = (at(data, ("securityContext", key, "type")) for data in (container.data, pod.spec))
        holder = pod.path if own is None and shared is not None else container.path
        return shared if own is None else own, (*holder, "securityContext", key)

    seccomp, here = profile("seccompProfile")
    if seccomp not in ("RuntimeDefault", "Localhost"):
        message = f"container {container.name} has no seccomp profile"
        yield Refused(here, message, "write seccompProfile: {type: RuntimeDefault}")
    annotations = mapping(at(pod.manifest.data, (*pod.path[:-1], "metadata", "annotations")))
    annotated = annotations.get(f"{_APPARMOR_ANNOTATION}{container.name}")
    apparmor, here = profile("appArmorProfile")
    if (apparmor == "Unconfined" or annotated == "unconfined") and container.name not in allowed.without_apparmor:
        yield Refused(here, f"container {container.name} has no AppArmor profile")
