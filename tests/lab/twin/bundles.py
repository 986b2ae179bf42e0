"""The OCI bundle of a container: what kubelet and containerd ask of runc (opencontainers/runtime-spec, config.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .podspec import ContainerSpec, PodSpec, Variable
from .seccomp import runtime_default

# of the image (images/imagebuild/oci.py)
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_REFERENCE = re.compile(r"\$\$|\$\(([\w.-]+)\)")
_MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug"),
    *("/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"),
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_SYSTEM = (
    ("/proc", "proc", "proc", "nosuid,noexec,nodev"),
    ("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
    ("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
    ("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"),
    ("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k"),
    ("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"),
)
_CGROUP = ("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro")
# runc's own defaults are these and nothing else
_DEVICES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2))
_OPEN_FILES = 1048576


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container runs, as far as it can tell."""

    node: str
    """Kubernetes' name of the node."""
    address: str
    pod: str
    pod_namespace: str
    network: Path
    """The network namespace."""
    cgroup: str | None
    """The container's, below the cgroup root; none where the kernel gives no cgroups."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the machine inside a container."""

    path: str
    source: Path
    read_only: bool


@dataclass(frozen=True, slots=True)
class User:
    """Whom a container's processes run as."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def user(pod: PodSpec, container: ContainerSpec, passwd: str, group: str) -> User:
    """The user with the groups that the image's /etc/passwd and /etc/group and the pod give it."""
    entry = next(
        (line.split(":") for line in passwd.splitlines() if line.split(":")[2:3] == [str(container.user)]), None
    )
    primary = int(entry[3]) if entry else 0
    member = [
        int(fields[2])
        for fields in (line.split(":") for line in group.splitlines())
        if entry and entry[0] in fields[3].split(",")
    ]
    gid = primary if container.group is None else container.group
    extra = () if pod.fs_group is None else (pod.fs_group,)
    return User(container.user, gid, tuple(dict.fromkeys((gid, *member, *extra, *pod.supplemental_groups))))


def environment(variables: Iterable[Variable], place: Place) -> dict[str, str]:
    """The environment: the image's, containerd's, then the container's own."""
    given = dict(_ENVIRONMENT) | {"HOSTNAME": place.node}
    fields = {
        "status.hostIP": place.address,
        "status.podIP": place.address,
        "spec.nodeName": place.node,
        "metadata.name": place.pod,
        "metadata.namespace": place.pod_namespace,
    }
    own: dict[str, str] = {}
    for variable in variables:
        own[variable.name] = expand(variable.value, own) if variable.field is None else fields[variable.field]
    return given | own


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Puts the container's own variables in for `$(NAME)`; `$$` stands for `$`, unknown names stay as they are."""
    return _REFERENCE.sub(lambda match: variables.get(match[1], match[0]) if match[1] else "$", text)


def configuration(
    pod: PodSpec, container: ContainerSpec, place: Place, who: User, root: Path, binds: Sequence[Bind], *, apparmor: str
) -> dict[str, Any]:
    """config.json of the bundle. `apparmor` is the profile's name, empty where the kernel has none."""
    variables = environment(container.variables, place)
    own = {variable.name: variables[variable.name] for variable in container.variables}
    capabilities = list(container.capabilities)
    process: dict[str, Any] = {
        "terminal": False,
        "user": {"uid": who.uid, "gid": who.gid, "additionalGids": list(who.groups)},
        "args": [expand(argument, own) for argument in container.argv],
        "env": [f"{name}={value}" for name, value in variables.items()],
        "cwd": container.directory,
        "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
        "noNewPrivileges": container.no_new_privileges,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": _OPEN_FILES, "hard": _OPEN_FILES}],
        "oomScoreAdj": -997 if pod.critical else 999,
    }
    if container.apparmor and apparmor:
        process["apparmorProfile"] = apparmor
    linux: dict[str, Any] = {
        "namespaces": [{"type": "network", "path": str(place.network)}]
        + [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")],
        "maskedPaths": list(_MASKED),
        "readonlyPaths": list(_READ_ONLY),
        # without it runc takes its own defaults for the devices' cgroup as well
        "resources": resources(container)
        if place.cgroup is not None
        else {"devices": [{"allow": True, "access": "rwm"}]},
    }
    if place.cgroup is not None:
        linux["cgroupsPath"] = place.cgroup
        linux["namespaces"].append({"type": "cgroup"})
    if container.seccomp:
        linux["seccomp"] = runtime_default(container.capabilities)
    return {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": str(root), "readonly": container.read_only_root},
        "hostname": place.node,
        "mounts": [*_mounts(binds, cgroup=place.cgroup is not None)],
        "linux": linux,
    }


def resources(container: ContainerSpec) -> dict[str, Any]:
    """The cgroup's limits (cgroup v2), as kubelet computes them: shares of 1024 per core, at least 2."""
    limits: dict[str, Any] = {
        "cpu": {"shares": max(2, int(container.cpu_request * 1024))},
        # one process out of memory ends the container
        "unified": {"memory.oom.group": "1"},
        "devices": [{"allow": False, "access": "rwm"}]
        + [{"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"} for major, minor in _DEVICES],
    }
    if container.cpu is not None:
        limits["cpu"] |= {"quota": int(container.cpu * 100_000), "period": 100_000}
    if container.memory is not None:
        limits["memory"] = {"limit": container.memory}
    return limits


def _mounts(binds: Sequence[Bind], *, cgroup: bool) -> Iterable[dict[str, Any]]:
    for path, kind, name, flags in (*_SYSTEM, *([_CGROUP] if cgroup else [])):
        yield {"destination": path, "type": kind, "source": name, "options": flags.split(",")}
    for bind in sorted(binds, key=lambda bind: bind.path):
        options = ["rbind", "rprivate", "ro" if bind.read_only else "rw"]
        yield {"destination": bind.path, "type": "bind", "source": str(bind.source), "options": options}
