"""What a gateway's swanctl.conf and gateway.json must say, straight from the inventory.

Nothing of the generator is used here, so that its mistakes are found too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.inventory.model import Cluster, Gateway, Remote, Tunnel
from tunnelfleet.manifests.rendered import mapping, sequence
from tunnelfleet.manifests.swanctl import Section
from tunnelfleet.profiles import Profile, effective

ANYTHING = "0.0.0.0/0"
SECRETS_FILE = "/run/swanctl/secrets.conf"
"""Written by the gateway from its mounted keys; what it holds is no part of the ConfigMap."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """Something that a configuration says wrongly: on a line from 1, or at a path of a JSON file."""

    place: int | YamlPath
    message: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tunnel that the inventory gives to the gateway."""

    remote: Remote
    tunnel: Tunnel
    profile: Profile

    def __str__(self) -> str:
        return f"the tunnel to {self.remote.name} at {self.tunnel.peer_address}"


def tunnels_of(cluster: Cluster, gateway: Gateway) -> list[Wanted]:
    """The tunnels of the gateway in the order of the inventory."""
    return [
        Wanted(remote, tunnel, effective(remote))
        for remote in cluster.spec.remotes
        for tunnel in remote.tunnels
        if tunnel.gateway == gateway.name
    ]


def pairs(config: Section, wanted: list[Wanted]) -> dict[str, Wanted]:
    """The connections that lead to a wanted tunnel's peer: name -> tunnel."""
    by_peer = {str(one.tunnel.peer_address): one for one in wanted}
    connections = config.section("connections").sections
    found: dict[str, Wanted] = {}
    for name, connection in connections.items():
        peer = connection.get("remote_addrs")
        if peer in by_peer:
            found[name] = by_peer.pop(peer)
    return found


def connection_faults(config: Section, cluster: Cluster, gateway: Gateway) -> Iterator[Deviation]:
    """What swanctl.conf says differently from the inventory."""
    wanted = tunnels_of(cluster, gateway)
    paired = pairs(config, wanted)
    yield from _surroundings(config)
    for one in wanted:
        if not any(one is each for each in paired.values()):
            yield Deviation(config.section("connections").line, f"{one} has no connection")
    taken: dict[str, str] = {}
    for name, connection in config.section("connections").sections.items():
        if name not in paired:
            peer = connection.get("remote_addrs") or "nowhere"
            is_known = any(str(one.tunnel.peer_address) == peer for one in paired.values())
            what = "like another one" if is_known else f"where the inventory has no tunnel of gateway {gateway.name}"
            yield Deviation(connection.line_of("remote_addrs"), f"connection {name} leads to {peer}, {what}")
            continue
        yield from _connection(connection, paired[name], gateway)
        child = only_child(connection)
        number = child.get("if_id_in") if child else ""
        if child and number and number in taken:
            message = f"connection {name} shares interface id {number} with connection {taken[number]}"
            yield Deviation(child.line_of("if_id_in"), message)
        taken.setdefault(number, name)


def only_child(connection: Section) -> Section | None:
    """The connection's child, None where it has not exactly one."""
    children = list(connection.section("children").sections.values())
    return children[0] if len(children) == 1 else None


def _surroundings(config: Section) -> Iterator[Deviation]:
    pending = [config]
    while pending:
        section = pending.pop()
        pending += section.sections.values()
        for include in section.includes:
            if include.value != SECRETS_FILE:
                yield Deviation(include.line, f"{include.value} is included, and nobody reviews what it says")
    if "secrets" in config.sections:
        yield Deviation(config.sections["secrets"].line, "a ConfigMap holds a section `secrets`")


def _connection(connection: Section, wanted: Wanted, gateway: Gateway) -> Iterator[Deviation]:
    profile, identities = wanted.profile, wanted.tunnel.identities
    yield from _differ(connection, wanted, "version", "2")
    yield from _differ(connection, wanted, "local_addrs", str(gateway.internal_ip))
    yield from _differ(connection, wanted, "proposals", ", ".join(profile.ike_proposals))
    yield from _differ(connection, wanted, "dpd_delay", f"{profile.dpd_delay}s")
    for side, identity in (
        ("local", identities.local or str(gateway.public_ip)),
        ("remote", identities.peer or str(wanted.tunnel.peer_address)),
    ):
        rounds = [section for name, section in connection.sections.items() if name.startswith(side)]
        if len(rounds) != 1:
            message = f"{wanted}: expected one section `{side}`, found {len(rounds)}"
            yield Deviation(connection.line, message)
        for section in rounds[:1]:
            yield from _differ(section, wanted, "auth", "psk", side)
            yield from _differ(section, wanted, "id", identity, side)
    lives = _seconds(connection.get("rekey_time")), _seconds(connection.get("over_time"))
    if None in lives or not 0 < (lives[0] or 0) + (lives[1] or 0) <= profile.ike_lifetime:
        message = f"{wanted}: expected rekey_time and over_time within {profile.ike_lifetime}s together"
        yield Deviation(connection.line_of("rekey_time"), message)
    child = only_child(connection)
    if child is None:
        children = connection.section("children")
        yield Deviation(children.line, f"{wanted}: expected one child, found {len(children.sections)}")
    else:
        yield from _child(child, wanted)


def _child(child: Section, wanted: Wanted) -> Iterator[Deviation]:
    profile = wanted.profile
    yield from _differ(child, wanted, "esp_proposals", ", ".join(profile.esp_proposals))
    yield from _differ(child, wanted, "local_ts", ANYTHING)
    yield from _differ(child, wanted, "remote_ts", ANYTHING)
    yield from _differ(child, wanted, "replay_window", str(profile.replay_window))
    number = child.get("if_id_in")
    if not re.fullmatch(r"[1-9][0-9]*", number):
        message = f"{wanted}: expected if_id_in to be the id of an interface, found {number or 'none'}"
        yield Deviation(child.line_of("if_id_in"), message)
    yield from _differ(child, wanted, "if_id_out", number)
    life = _seconds(child.get("life_time"))
    if life is None or not 0 < life <= profile.esp_lifetime:
        found = child.get("life_time") or "none"
        message = f"{wanted}: expected life_time of at most {profile.esp_lifetime}s, found {found}"
        yield Deviation(child.line_of("life_time"), message)
    starts = set(child.get("start_action").split("|")) & {"start", "trap"}
    if bool(starts) == (profile.initiator == "remote"):
        who = "the remote site" if profile.initiator == "remote" else "the gateway"
        message = f"{wanted}: start_action is {child.get('start_action') or 'not set'}, but {who} starts IKE"
        yield Deviation(child.line_of("start_action"), message)


def _differ(section: Section, wanted: Wanted, name: str, value: str, within: str = "") -> Iterator[Deviation]:
    setting = section.settings.get(name)
    found = ", ".join(setting.values) if setting else ""
    if found != value:
        shown = f"{within}.{name}" if within else name
        yield Deviation(
            section.line_of(name), f"{wanted}: expected {shown} {value or '(none)'}, found {found or 'none'}"
        )


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(text: str) -> int | None:
    found = re.fullmatch(r"([0-9]+)\s*([smhd]?)", text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def settings_faults(data: Any, config: Section, cluster: Cluster, gateway: Gateway) -> Iterator[Deviation]:
    """What gateway.json, which the gateway's own programs read, says differently from the inventory."""
    spec = cluster.spec
    top = {
        "name": gateway.name,
        "address": str(gateway.internal_ip),
        "localCidrs": sorted(str(cidr.network) for cidr in spec.local_cidrs),
    }
    yield from values(data, (), "", top)
    paired = pairs(config, tunnels_of(cluster, gateway))
    tunnels = sequence(mapping(data).get("tunnels"))
    seen: set[str] = set()
    for number, tunnel in enumerate(tunnels):
        name = mapping(tunnel).get("connection")
        wanted = paired.get(name) if isinstance(name, str) and name not in seen else None
        if wanted is None or not isinstance(name, str):
            if name not in config.section("connections").sections or name in seen:
                yield Deviation(("tunnels", number), f"swanctl.conf has no connection {name} for this one")
            continue
        seen.add(name)
        yield from values(tunnel, ("tunnels", number), f"{wanted}: ", _tunnel(wanted, gateway))
        child = only_child(config.section("connections").sections[name])
        if child and child.get("if_id_in").isdigit():
            expected = {"interfaceId": int(child.get("if_id_in")), "interface": child.name}
            yield from values(tunnel, ("tunnels", number), f"{wanted}: ", expected)
    for name, wanted in paired.items():
        if name not in seen:
            yield Deviation(("tunnels",), f"{wanted} is missing")


def _tunnel(wanted: Wanted, gateway: Gateway) -> dict[str, Any]:
    inside, identities, profile = wanted.tunnel.inside, wanted.tunnel.identities, wanted.profile
    return {
        "address": f"{inside.local}/{inside.cidr.network.prefixlen}",
        "peer": str(inside.peer),
        "localIdentity": identities.local or str(gateway.public_ip),
        "peerIdentity": identities.peer or str(wanted.tunnel.peer_address),
        "initiates": profile.initiator != "remote",
        "acceptedCidrs": sorted({str(cidr.network) for cidr in wanted.remote.accepted_cidrs}),
        "mtu": profile.mtu,
        "mss": profile.mss,
    }


def values(data: Any, path: YamlPath, about: str, expected: dict[str, Any]) -> Iterator[Deviation]:
    """Where decoded JSON has other values at these keys; the order of lists means nothing."""
    for key, value in expected.items():
        found = mapping(data).get(key)
        if not _same(found, value):
            yield Deviation((*path, key), f"{about}expected {key} {_shown(value)}, found {_shown(found)}")


def _same(found: Any, value: Any) -> bool:
    if isinstance(value, list) and isinstance(found, list) and all(isinstance(item, str) for item in found):
        return set(found) == set(value)
    # True is 1 to Python, and not to the program that reads it
    return bool(found == value) and isinstance(found, bool) is isinstance(value, bool)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)
