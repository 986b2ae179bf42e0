"""PodSpecs, as far as the twin does what kubelet and containerd would do with them; anything else is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .fields import Fields, ManifestError, quantity

# containerd's default, before drop and add (runtime-spec, process.capabilities)
DEFAULT_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP"),
    *("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)
# downward API
_REFERENCES = ("status.hostIP", "status.podIP", "spec.nodeName", "metadata.name", "metadata.namespace")


@dataclass(frozen=True, slots=True)
class Probe:
    """An exec probe; times in seconds."""

    command: tuple[str, ...]
    delay: float
    period: float
    timeout: float
    failures: int
    successes: int
    grace: int | None
    """Of the kill that follows its failure, where it has one of its own."""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable: a value, or a field of the pod that gives it."""

    name: str
    value: str
    field: str | None


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a container sees a volume."""

    volume: str
    path: str
    sub_path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container."""

    name: str
    argv: tuple[str, ...]
    directory: str
    variables: tuple[Variable, ...]
    mounts: tuple[Mount, ...]
    startup: Probe | None
    liveness: Probe | None
    readiness: Probe | None
    pre_stop: tuple[str, ...] | None
    user: int
    group: int | None
    capabilities: tuple[str, ...]
    """As CAP_…, sorted."""
    no_new_privileges: bool
    read_only_root: bool
    seccomp: bool
    """RuntimeDefault, or none."""
    apparmor: bool
    """RuntimeDefault, or none."""
    memory: int | None
    """Limit in bytes."""
    memory_request: int
    cpu_request: float
    """Cores."""
    cpu: float | None
    ports: tuple[tuple[str, int], ...]
    """Protocol and number, as the container names them."""


@dataclass(frozen=True, slots=True)
class Source:
    """A ConfigMap or Secret of which files are made."""

    kind: str
    name: str
    items: tuple[tuple[str, str, int | None], ...] | None
    """Key, path and mode of each file; all keys where there are none."""


@dataclass(frozen=True, slots=True)
class Files:
    """A volume of files that kubelet writes: configMap, secret or projected."""

    sources: tuple[Source, ...]
    mode: int


@dataclass(frozen=True, slots=True)
class EmptyDir:
    """A volume that lives as long as its pod."""

    memory: bool
    size: int | None
    """Bytes."""


@dataclass(frozen=True, slots=True)
class HostPath:
    """A path of the node."""

    path: str
    kind: str


Volume = Files | EmptyDir | HostPath


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What one pod of a workload is."""

    containers: tuple[ContainerSpec, ...]
    volumes: Mapping[str, Volume]
    fs_group: int | None
    supplemental_groups: tuple[int, ...]
    grace: int
    """terminationGracePeriodSeconds."""
    host_network: bool
    critical: bool
    """system-node-critical: never the first to be killed for its memory."""


def pod_spec(workload: Mapping[str, Any]) -> PodSpec:
    """The pod that a Deployment or DaemonSet makes. Raises ManifestError for what the twin does not know."""
    where = f"{workload['kind']} {workload['metadata']['name']}"
    with Fields(workload["spec"]["template"]["spec"], where) as spec:
        # the scheduler's (schedule.py), and what the twin has no part of: accounts, images, DNS
        spec.harmless("affinity", "nodeSelector", "tolerations", "serviceAccountName", "enableServiceLinks")
        spec.only("automountServiceAccountToken", False)
        spec.only("dnsPolicy", "Default", "ClusterFirst", "ClusterFirstWithHostNet", default="ClusterFirst")
        spec.only("restartPolicy", "Always", default="Always")
        with spec.object("securityContext") as security:
            inherited = {
                name: security.take(name) for name in ("runAsUser", "runAsGroup", "seccompProfile", "appArmorProfile")
            }
            fs_group = security.take("fsGroup")
            groups = tuple(security.take("supplementalGroups", ()))
        volumes = dict(_volume(fields) for fields in spec.objects("volumes"))
        containers = tuple(_container(fields, inherited) for fields in spec.objects("containers"))
        for container in containers:
            for mount in container.mounts:
                if mount.volume not in volumes:
                    raise ManifestError(
                        f"{where}: {container.name} mounts {mount.volume}, which is no volume of the pod"
                    )
        return PodSpec(
            containers=containers,
            volumes=volumes,
            fs_group=fs_group,
            supplemental_groups=groups,
            grace=spec.take("terminationGracePeriodSeconds", 30),
            host_network=spec.take("hostNetwork", False),
            critical=spec.take("priorityClassName") == "system-node-critical",
        )


def _container(spec: Fields, inherited: Mapping[str, Any]) -> ContainerSpec:
    with spec:
        name = spec.need("name")
        spec.where = f"{spec.where} ({name})"
        spec.harmless("image", "imagePullPolicy")
        # the image has a shell as its command, which no pod wants
        argv = (*spec.need("command"), *spec.take("args", ()))
        with (
            spec.object("resources") as resources,
            resources.object("requests") as requests,
            resources.object("limits") as limits,
        ):
            memory, cpu = limits.take("memory"), limits.take("cpu")
            memory_request, cpu_request = requests.take("memory", memory or 0), requests.take("cpu", cpu or 0)
        with spec.object("lifecycle") as lifecycle, lifecycle.object("preStop") as stop, stop.object("exec") as action:
            pre_stop = tuple(action.need("command")) if action else None
        with spec.object("securityContext") as security:
            security.only("privileged", False, default=False)
            user = security.take("runAsUser", inherited["runAsUser"]) or 0
            if security.take("runAsNonRoot", False) and user == 0:
                raise ManifestError(f"{security.where}: runAsNonRoot, but the user is root")
            with security.object("capabilities") as capabilities:
                kept = (
                    set() if "ALL" in (drop := capabilities.take("drop", [])) else set(DEFAULT_CAPABILITIES) - set(drop)
                )
                kept |= set(capabilities.take("add", []))
            return ContainerSpec(
                name=name,
                argv=argv,
                directory=spec.take("workingDir", "/"),
                variables=tuple(_variable(fields) for fields in spec.objects("env")),
                mounts=tuple(_mount(fields) for fields in spec.objects("volumeMounts")),
                startup=_probe(spec.object("startupProbe")),
                liveness=_probe(spec.object("livenessProbe")),
                readiness=_probe(spec.object("readinessProbe")),
                pre_stop=pre_stop,
                user=user,
                group=security.take("runAsGroup", inherited["runAsGroup"]),
                capabilities=tuple(sorted(f"CAP_{name}" for name in kept)),
                no_new_privileges=not security.take("allowPrivilegeEscalation", True),
                read_only_root=security.take("readOnlyRootFilesystem", False),
                seccomp=_profile(security, "seccompProfile", inherited, default="Unconfined"),
                apparmor=_profile(security, "appArmorProfile", inherited, default="RuntimeDefault"),
                memory=None if memory is None else int(quantity(memory)),
                memory_request=int(quantity(memory_request)),
                cpu_request=quantity(cpu_request),
                cpu=None if cpu is None else quantity(cpu),
                ports=tuple(_port(fields) for fields in spec.objects("ports")),
            )


def _profile(security: Fields, name: str, inherited: Mapping[str, Any], default: str) -> bool:
    with Fields(security.take(name, inherited[name]) or {}, f"{security.where}.{name}") as profile:
        return bool(profile.only("type", "RuntimeDefault", "Unconfined", default=default) == "RuntimeDefault")


def _port(port: Fields) -> tuple[str, int]:
    with port:
        port.harmless("name")
        number = port.need("containerPort")
        port.only("hostPort", None, number)
        return port.take("protocol", "TCP"), number


def _probe(probe: Fields) -> Probe | None:
    if not probe:
        return None
    with probe:
        with Fields(probe.need("exec"), f"{probe.where}.exec") as action:
            command = tuple(action.need("command"))
        return Probe(
            command=command,
            delay=probe.take("initialDelaySeconds", 0),
            period=probe.take("periodSeconds", 10),
            timeout=probe.take("timeoutSeconds", 1),
            failures=probe.take("failureThreshold", 3),
            successes=probe.take("successThreshold", 1),
            grace=probe.take("terminationGracePeriodSeconds"),
        )


def _variable(variable: Fields) -> Variable:
    with variable, variable.object("valueFrom") as source, source.object("fieldRef") as reference:
        reference.only("apiVersion", "v1", default="v1")
        return Variable(
            variable.need("name"), variable.take("value", ""), reference.only("fieldPath", None, *_REFERENCES)
        )


def _mount(mount: Fields) -> Mount:
    with mount:
        return Mount(
            mount.need("name"), mount.need("mountPath"), mount.take("subPath", ""), mount.take("readOnly", False)
        )


def _volume(volume: Fields) -> tuple[str, Volume]:
    with volume:
        name = volume.need("name")
        with (
            volume.object("configMap") as config,
            volume.object("secret") as secret,
            volume.object("projected") as projected,
        ):
            for kind, fields, reference in (("ConfigMap", config, "name"), ("Secret", secret, "secretName")):
                if fields:
                    return name, Files((_source(kind, fields, reference),), fields.take("defaultMode", 0o644))
            if projected:
                return name, _projected(projected)
        with volume.object("hostPath") as host:
            if host:
                return name, HostPath(host.need("path"), host.take("type", ""))
        with volume.object("emptyDir") as empty:
            size = empty.take("sizeLimit")
            memory = empty.only("medium", "", "Memory", default="") == "Memory"
            return name, EmptyDir(memory, None if size is None else int(quantity(size)))


def _projected(projected: Fields) -> Files:
    mode = projected.take("defaultMode", 0o644)
    sources = []
    for fields in projected.objects("sources"):
        with fields, fields.object("configMap") as config, fields.object("secret") as secret:
            sources.append(_source("ConfigMap", config, "name") if config else _source("Secret", secret, "name"))
    return Files(tuple(sources), mode)


def _source(kind: str, fields: Fields, reference: str) -> Source:
    items = None
    if entries := fields.objects("items"):
        items = tuple(_item(entry) for entry in entries)
    return Source(kind, fields.need(reference), items)


def _item(item: Fields) -> tuple[str, str, int | None]:
    with item:
        return item.need("key"), item.need("path"), item.take("mode")
