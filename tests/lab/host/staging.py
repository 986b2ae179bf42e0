"""stage.json: what the twin is told of a cluster, and keys made for this run.

The keys in the repository are encrypted and stay so: the twin's own are random, and die with it.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from tests.lab.twin import stage
from tunnelfleet.generate.gateway import local_identity, peer_identity
from tunnelfleet.generate.topology import PlannedGateway, PlannedTunnel, Topology
from tunnelfleet.inventory.loading import cluster_folders, load
from tunnelfleet.inventory.model import Remote, SecretKey
from tunnelfleet.manifests.kustomize import KustomizeFailed, KustomizeNotFound, find_kustomize
from tunnelfleet.manifests.pods import pods
from tunnelfleet.manifests.rendered import Manifest, mapping, parse_manifests, sequence
from tunnelfleet.profiles import Profile, effective

from .errors import LabError

_KEY_LENGTH = 32
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation
# Each means something in a swanctl.conf, a shell or FRR's commands; the first that the site takes is used.
_AWKWARD = ("0x#}\"'{$`\\", "0x#}\"'{$`", "0x", "_.")
_KEY_WITH_NEWLINE = 1
"""Which pre-shared key's Secret ends in a newline, as `echo` and editors leave one."""

Values = dict[SecretKey, str]
Choose = Callable[[str], str]
"""Takes one of the characters."""


def write(root: Path, name: str, target: Path) -> stage.Stage:
    """Writes the stage of a cluster of the repository. Raises LabError."""
    staged = make(root, name)
    target.write_text(json.dumps(asdict(staged)), encoding="utf-8")
    return staged


def make(root: Path, name: str, choose: Choose = secrets.choice) -> stage.Stage:
    """The stage of a cluster, as its inventory and overlay stand in the tree. Raises LabError."""
    topology = _topology(root, name)
    manifests = _manifests(root, name)
    keys = _keys(topology, choose)
    values = _contents(topology, keys) | _passwords(topology, choose)
    for unknown in sorted(set(_mounted(manifests)) - values.keys(), key=str):
        values[unknown] = _random(_PRINTABLE, choose)
    return stage.Stage(
        cluster=_cluster(topology, values | keys),
        objects=tuple(dict(manifest.data) for manifest in manifests),
        secrets=_by_name(values),
    )


def _topology(root: Path, name: str) -> Topology:
    known = cluster_folders(root)
    if name not in known:
        raise LabError(f"there is no cluster {name}; there are: {', '.join(known) or 'none'}")
    reading = load(root, name)
    if reading.loaded is None:
        first = reading.findings[0]
        raise LabError(f"{first.location}: {first.message}; run `tunnelfleet check {name}`")
    return Topology(reading.loaded.cluster)


def _manifests(root: Path, name: str) -> tuple[Manifest, ...]:
    folder = root / "overlays" / name
    if not folder.is_dir():
        raise LabError(f"overlays/{name} is missing: run `tunnelfleet generate {name}`")
    try:
        return parse_manifests(find_kustomize().build(folder))
    except (KustomizeNotFound, KustomizeFailed) as error:
        raise LabError(str(error)) from error


def _tunnels(topology: Topology) -> Iterator[PlannedTunnel]:
    return chain.from_iterable(gateway.tunnels for gateway in topology.gateways)


def _keys(topology: Topology, choose: Choose) -> Values:
    """The pre-shared keys: the first awkward, as far as the site's profile takes that."""
    keys: Values = {}
    for tunnel in _tunnels(topology):
        beginnings = ("",) if keys else _AWKWARD
        keys.setdefault(tunnel.tunnel.preshared_key, key_for(tunnel.profile, choose, beginnings))
    return keys


def key_for(profile: Profile, choose: Choose, beginnings: Iterable[str] = ("",)) -> str:
    """A random pre-shared key that the profile's site takes, with the first of the beginnings that it takes."""
    filler = "a" * (_KEY_LENGTH - 1)
    taken = "".join(letter for letter in _PRINTABLE if profile.accepts_key(filler + letter))
    for beginning in (*beginnings, ""):
        # the first letter is none of those that some profile refuses there
        key = (beginning + choose(string.ascii_letters) + _random(taken, choose))[:_KEY_LENGTH]
        if profile.accepts_key(key):
            return key
    raise LabError(f"profile {profile.name} takes no key like {profile.key_pattern}; mend staging.py")


def _random(letters: str, choose: Choose) -> str:
    return "".join(choose(letters) for _ in range(_KEY_LENGTH))


def _contents(topology: Topology, keys: Values) -> Values:
    """What the Secrets hold: the keys, one of them with a newline after it."""
    return {key: f"{value}\n" if n == _KEY_WITH_NEWLINE else value for n, (key, value) in enumerate(keys.items())}


def _passwords(topology: Topology, choose: Choose) -> Values:
    """The passwords of BGP sessions: FRR's commands end at a space, and `?` asks for help."""
    letters = string.ascii_letters + string.digits + "._+/=-"
    wanted = {topology.cluster.spec.bgp.password: None}
    wanted |= {remote.bgp_password: None for remote in topology.remotes if remote.bgp_password}
    return {key: _random(letters, choose) for key in wanted}


def _mounted(manifests: Iterable[Manifest]) -> Iterator[SecretKey]:
    """The entries of Secrets that pods name in their volumes."""
    for pod in pods(manifests):
        for volume in sequence(pod.spec.get("volumes")):
            single = mapping(mapping(volume).get("secret"))
            yield from _items(single.get("secretName"), single)
            for source in sequence(mapping(mapping(volume).get("projected")).get("sources")):
                projected = mapping(mapping(source).get("secret"))
                yield from _items(projected.get("name"), projected)


def _items(name: object, source: object) -> Iterator[SecretKey]:
    for item in sequence(mapping(source).get("items")):
        yield SecretKey(secret_name=str(name), key=str(mapping(item).get("key")))


def _by_name(values: Values) -> dict[str, dict[str, str]]:
    result: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        result.setdefault(key.secret_name, {})[key.key] = value
    return result


def _cluster(topology: Topology, values: Values) -> stage.Cluster:
    spec = topology.cluster.spec
    return stage.Cluster(
        name=topology.name,
        namespace=spec.namespace,
        node_interface=spec.node_interface,
        nodes=_texts(topology.nodes),
        pods=_texts(sorted({cidr.network for cidr in spec.networks.pods})),
        services=_texts(sorted({cidr.network for cidr in spec.networks.services})),
        advertised=_texts(topology.announced),
        local_asn=spec.bgp.local_asn,
        internal_asn=spec.bgp.internal_asn,
        gateways=tuple(_gateway(planned) for planned in topology.gateways),
        remotes=tuple(_remote(topology, remote, values) for remote in topology.remotes),
    )


def _gateway(planned: PlannedGateway) -> stage.Gateway:
    gateway = planned.gateway
    return stage.Gateway(gateway.name, gateway.node, str(gateway.internal_ip), str(gateway.public_ip))


def _remote(topology: Topology, remote: Remote, values: Values) -> stage.Remote:
    profile = effective(remote)
    tunnels = [
        _tunnel(planned, tunnel, values[tunnel.tunnel.preshared_key])
        for planned in topology.gateways
        for tunnel in planned.tunnels
        if tunnel.remote.name == remote.name
    ]
    return stage.Remote(
        name=remote.name,
        profile=remote.profile,
        asn=remote.asn,
        accepted_cidrs=_texts(sorted({cidr.network for cidr in remote.accepted_cidrs})),
        tunnels=tuple(tunnels),
        bgp_password=values[remote.bgp_password] if remote.bgp_password else None,
        ike_proposals=profile.ike_proposals,
        esp_proposals=profile.esp_proposals,
        initiator=profile.initiator,
        keepalive=profile.keepalive,
        hold=profile.hold,
        bfd=stage.Bfd(profile.bfd.interval, profile.bfd.multiplier) if profile.bfd else None,
        mtu=profile.mtu,
    )


def _tunnel(planned: PlannedGateway, tunnel: PlannedTunnel, key: str) -> stage.Tunnel:
    inside = tunnel.tunnel.inside
    return stage.Tunnel(
        gateway=planned.name,
        connection=tunnel.connection,
        interface=tunnel.interface,
        peer_address=str(tunnel.tunnel.peer_address),
        local_identity=local_identity(planned, tunnel),
        peer_identity=peer_identity(tunnel),
        inside_local=str(inside.local),
        inside_peer=str(inside.peer),
        inside_cidr=str(inside.cidr),
        key=key,
    )


def _texts(networks: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(str, networks))
