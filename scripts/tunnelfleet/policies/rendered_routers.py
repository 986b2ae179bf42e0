"""Policies on the routers' configuration that will run: what the pods mount, read back, against the inventory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tunnelfleet.findings import Location
from tunnelfleet.generate.files import OVERLAYS
from tunnelfleet.inventory.document import YamlPath, parse
from tunnelfleet.inventory.model import Cluster, Gateway, SecretKey
from tunnelfleet.manifests.frr import parse_frr
from tunnelfleet.manifests.origin import origin
from tunnelfleet.manifests.pods import Container, Pod, pods, source_of
from tunnelfleet.manifests.rendered import Manifest, RenderedCluster, mapping
from tunnelfleet.manifests.routers import Unreadable
from tunnelfleet.manifests.swanctl import Section, parse_swanctl
from tunnelfleet.policies.expected_bgp import agent_faults, node_router_faults, tunnel_router_faults
from tunnelfleet.policies.expected_ipsec import Fault, connection_faults, pairs, settings_faults, tunnels_of
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy

SWANCTL = "/etc/swanctl/swanctl.conf"
GATEWAY = "/opt/tunnelfleet/config/gateway.json"
FRR = "/opt/tunnelfleet/config/frr.conf"
AGENT = "/opt/tunnelfleet/config/agent.json"
KEYS = "/opt/tunnelfleet/keys"
PASSWORDS = "/opt/tunnelfleet/passwords"
NODE_PASSWORD = "/opt/tunnelfleet/password/password"
"""Where the programs in the containers read what they are told (base/strongswan, base/frr, base/routes)."""

_HASHED = re.compile(r".+-[a-z0-9]{10}")


@policy(
    "rendered-selectors-match",
    Scope.RENDERED,
    asks="The swanctl.conf that each gateway mounts has one connection for each of its tunnels and no other, with the "
    "addresses, identities, proposals, lifetimes and interface ids of the inventory, selectors 0.0.0.0/0, and "
    "the tunnel's own key.",
    why="It is read back from the rendered ConfigMap without the generator's help: a tunnel that negotiates the wrong "
    "thing comes up and carries nothing, and nobody sees why.",
    failing="# overlays/iceland-prod/gateway-a/swanctl.conf\nremote_ts = 10.0.0.0/16",
    passing="# overlays/iceland-prod/gateway-a/swanctl.conf\nremote_ts = 0.0.0.0/0",
)
def rendered_selectors_match(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    cluster = rendered.loaded.cluster
    for gateway in cluster.spec.gateways:
        workload = _Workload.find(rendered, "Deployment", f"ipsec-tunnel-{gateway.name}", f"gateway-{gateway.name}")
        container, problem = workload.container("strongswan") if workload else (None, None)
        if problem:
            yield problem
        if workload is None or container is None:
            continue
        config: list[Section] = []
        yield from workload.check(
            container,
            SWANCTL,
            lambda text, kept=config, of=gateway: _swanctl(text, cluster, of, kept),  # type: ignore[misc]
        )
        for section in config:
            yield from workload.check(
                container,
                GATEWAY,
                lambda text, kept=section, of=gateway: settings_faults(_json(text), kept, cluster, of),  # type: ignore[misc]
            )
            for name, wanted in pairs(section, tunnels_of(cluster, gateway)).items():
                yield from workload.secret(container, f"{KEYS}/{name}", wanted.tunnel.preshared_key, str(wanted))


def _swanctl(text: str, cluster: Cluster, gateway: Gateway, kept: list[Section]) -> Iterator[Fault]:
    kept.append(parse_swanctl(text))
    yield from connection_faults(kept[-1], cluster, gateway)


@policy(
    "rendered-prefix-lists-match",
    Scope.RENDERED,
    asks="The frr.conf that each container mounts has the sessions of the inventory and no other; each takes and "
    "announces exactly the prefixes that the inventory allows it, from sites nothing local and no default route, "
    "up to the profile's limit.",
    why="It is read back from the rendered ConfigMap without the generator's help: one prefix too many attracts the "
    "traffic of others, one too few cuts off a network, and BGP says nothing of either.",
    failing="# overlays/iceland-prod/gateway-a/frr.conf\nip prefix-list CLUSTER seq 5 permit 10.0.0.0/8",
    passing="# overlays/iceland-prod/gateway-a/frr.conf\nip prefix-list CLUSTER seq 5 permit 10.234.0.0/16",
)
def rendered_prefix_lists_match(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    cluster = rendered.loaded.cluster
    for gateway in cluster.spec.gateways:
        folder = f"gateway-{gateway.name}"
        if tunnel := _Workload.find(rendered, "Deployment", f"ipsec-tunnel-{gateway.name}", folder):
            yield from _tunnel_router(tunnel, cluster, gateway)
        if node := _Workload.find(rendered, "DaemonSet", f"ipsec-routes-{gateway.name}", folder):
            yield from _node_router(node, cluster, gateway)
    if node := _Workload.find(rendered, "DaemonSet", "ipsec-routes-nodes", "routes"):
        yield from _node_router(node, cluster, None)


def _tunnel_router(workload: _Workload, cluster: Cluster, gateway: Gateway) -> Iterator[LocatedProblem]:
    container, problem = workload.container("frr")
    if problem:
        yield problem
    if container is None:
        return
    yield from workload.check(container, FRR, lambda text: tunnel_router_faults(parse_frr(text), cluster, gateway))
    settings = workload.text(container, GATEWAY)
    if isinstance(settings, LocatedProblem):
        yield settings
        return
    files = _password_files(settings.text)
    for wanted in tunnels_of(cluster, gateway):
        password = wanted.remote.bgp_password
        name = files.get(str(wanted.tunnel.inside.peer))
        if password is not None and name is not None:
            yield from workload.secret(container, f"{PASSWORDS}/{name}", password, f"BGP with {wanted.remote.name}")
        elif (password is None) is not (name is None):
            said = "no password" if name is None else "a password"
            message = f"BGP with {wanted.remote.name} has {said}, and the inventory says otherwise"
            yield workload.problem(settings, Fault(("tunnels",), message))


def _node_router(workload: _Workload, cluster: Cluster, gateway: Gateway | None) -> Iterator[LocatedProblem]:
    frr, problem = workload.container("frr")
    if frr is not None:
        yield from workload.check(frr, FRR, lambda text: node_router_faults(parse_frr(text), cluster, gateway))
        yield from workload.secret(frr, NODE_PASSWORD, cluster.spec.bgp.password, "BGP between the nodes")
    agent, missing = workload.container("agent")
    if agent is not None:
        yield from workload.check(agent, AGENT, lambda text: agent_faults(_json(text), cluster, gateway))
    yield from filter(None, (problem, missing))


def _password_files(text: str) -> dict[str, str]:
    """The names of the password files in gateway.json: BGP peer -> name."""
    try:
        tunnels = mapping(_json(text)).get("tunnels")
    except Unreadable:
        return {}
    found = [mapping(each) for each in tunnels] if isinstance(tunnels, list) else []
    return {str(each.get("peer")): each["passwordFile"] for each in found if isinstance(each.get("passwordFile"), str)}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}", getattr(error, "lineno", 1)) from error


@dataclass(frozen=True, slots=True)
class _File:
    """A configuration as a container sees it, and the ConfigMap's key that it is kept under."""

    text: str
    key: str


@dataclass(frozen=True, slots=True)
class _Workload:
    """A rendered workload with the overlay's folder that configures it."""

    rendered: RenderedCluster
    pod: Pod
    folder: str

    @classmethod
    def find(cls, rendered: RenderedCluster, kind: str, name: str, folder: str) -> _Workload | None:
        """The workload of this name; where there is none, gateways-pinned-to-distinct-nodes says so."""
        for pod in pods(rendered.manifests):
            if (pod.manifest.kind, pod.manifest.name) == (kind, name):
                return cls(rendered, pod, folder)
        return None

    def container(self, name: str) -> tuple[Container | None, LocatedProblem | None]:
        """The container of this name, or what to say where there is none."""
        found = self.pod.container(name)
        return (found, None) if found else (None, self._at((*self.pod.path, "containers"), f"no container {name}"))

    def check(
        self, container: Container, file: str, check: Callable[[str], Iterable[Fault]]
    ) -> Iterator[LocatedProblem]:
        """What is wrong with a mounted configuration."""
        kept = self.text(container, file)
        if isinstance(kept, LocatedProblem):
            yield kept
            return
        try:
            for fault in check(kept.text):
                yield self.problem(kept, fault)
        except Unreadable as error:
            yield self.problem(kept, Fault(error.line, error.message))

    def text(self, container: Container, file: str) -> _File | LocatedProblem:
        """The mounted configuration, or why there is none."""
        source = source_of(self.pod, container, file)
        if source is None or source.kind != "ConfigMap":
            return self._at(
                (*container.path, "volumeMounts"), f"container {container.name} has no {file} of a ConfigMap"
            )
        if not _HASHED.fullmatch(source.name):
            message = f"ConfigMap {source.name} has no hash in its name: a change would not restart the pods"
            return self._at(source.path, message)
        kept = self._config_map(source.name)
        if kept is None:
            return self._at(source.path, f"the overlay has no ConfigMap {source.name}")
        text = mapping(kept.data.get("data")).get(source.key)
        if not isinstance(text, str):
            return self._at(source.path, f"ConfigMap {source.name} has no {source.key}")
        return _File(text, source.key)

    def secret(self, container: Container, file: str, wanted: SecretKey, about: str) -> Iterator[LocatedProblem]:
        """What is wrong with a mounted secret."""
        source = source_of(self.pod, container, file)
        expected = f"expected {wanted.secret_name}/{wanted.key}"
        if source is None or source.kind != "Secret":
            path: YamlPath = (*container.path, "volumeMounts")
            yield self._at(path, f"{about}: container {container.name} has no {file} of a Secret, {expected}")
        elif (source.name, source.key) != (wanted.secret_name, wanted.key):
            yield self._at(source.path, f"{about}: {file} is {source.name}/{source.key}, {expected}")

    def problem(self, file: _File, fault: Fault) -> LocatedProblem:
        """A fault of a configuration, at its line in the overlay."""
        return LocatedProblem(self._place(file, fault), fault.message, self._hint, cluster=self.rendered.loaded.folder)

    @property
    def _hint(self) -> str:
        cluster = self.rendered.loaded.folder
        return (
            f"change clusters/{cluster}/cluster.yaml and run `tunnelfleet generate {cluster}`; if that gives the same, "
            "mend scripts/tunnelfleet/generate/"
        )

    def _config_map(self, name: str) -> Manifest | None:
        namespace = self.pod.manifest.namespace
        return next(
            (
                each
                for each in self.rendered.manifests
                if each.kind == "ConfigMap" and each.name == name and each.namespace == namespace
            ),
            None,
        )

    def _place(self, file: _File, fault: Fault) -> Location:
        """The line in the file of the overlay's folder that the ConfigMap was made of."""
        cluster = self.rendered.loaded.folder
        folder = self.rendered.root / OVERLAYS / cluster / self.folder
        path = f"{OVERLAYS}/{cluster}/{self.folder}"
        for name in (file.key, *(each.name for each in sorted(folder.glob("*")))):
            try:
                same = (folder / name).read_bytes() == file.text.encode()
            except OSError:
                continue
            if same:
                return _located(f"{path}/{name}", file.text, fault.place)
        return Location(f"{path}/kustomization.yaml")

    def _at(self, path: YamlPath, message: str) -> LocatedProblem:
        cluster = self.rendered.loaded.folder
        place = origin(self.rendered.root, cluster, self.pod.manifest, path)
        hint = "mend it in base/, where the programs' files are mounted"
        return LocatedProblem(place, f"{self.pod.manifest}: {message}", hint, cluster=cluster)


def _located(file: str, text: str, place: int | YamlPath) -> Location:
    if not isinstance(place, int):
        document, _ = parse(file, text)
        return document.locate(place) if document else Location(file)
    lines = text.split("\n")
    line = lines[place - 1] if 0 < place <= len(lines) else ""
    start = len(line) - len(line.lstrip()) + 1
    return Location(file, place, start, max(start + 1, len(line.rstrip()) + 1))
