"""How a gateway stops: its turn, what it waits for, and that its configuration has what it uses."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from gateway.settings import parse
from router import drain

from tests.support.fleets import REPOSITORY
from tests.unit.gateway.world import GATEWAY
from tunnelfleet.generate.gateway import gateway_files
from tunnelfleet.generate.topology import Topology
from tunnelfleet.inventory.loading import load

SUMMARY = """\
IPv4 Unicast Summary:
BGP router identifier 172.27.48.11, local AS number 65010 VRF default vrf-id 0

Neighbor        V         AS   MsgRcvd   MsgSent   TblVer  InQ OutQ  Up/Down State/PfxRcd   PfxSnt Desc
{address}    4      64514         8         5        2    0    0 00:00:13            1        0 gcp
"""
BACKUP = "10.0.0.0/16 nhid 1953890305 via 169.254.100.5 dev cilium_vxlan metric 4261413364 onlink \n"
OWN = "10.0.0.0/16 nhid 1953890304 via 169.254.100.2 dev ss0 metric 500 \n"
COUNTING_SLEEP = """\
#!/bin/sh
echo "$1" >> "$COUNT"
[ ! -e "$FOLDER/later" ] || touch "$FOLDER/drained"
"""
STOP = REPOSITORY / "base/strongswan/stop"


class Machine:
    """Answers for vtysh and ip, and counts the seconds that are waited."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, established: str, routes: list[str]) -> None:
        self.seconds = 0.0
        self.commands: list[str] = []
        self._established = established
        self._routes = routes
        monkeypatch.setattr("router.drain.subprocess.run", self._run)
        monkeypatch.setattr("router.drain.time.sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def _run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if command[0] == "ip":
            out = self._routes.pop(0) if len(self._routes) > 1 else self._routes[0]
        else:
            out = SUMMARY.format(address=self._established) if "show" in command[4] else ""
            self.commands += command[4::2]
        return subprocess.CompletedProcess(command, 0, out, "")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(drain, "DRAINING", tmp_path / "draining")
    monkeypatch.setattr(drain, "DRAINED", tmp_path / "drained")
    monkeypatch.setattr("router.drain.settings.read", lambda: GATEWAY)
    return tmp_path


def test_traffic_is_moved_before_routes_are_taken_back(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    machine = Machine(monkeypatch, "169.254.10.1", [OWN + BACKUP])
    drain.main()
    assert machine.commands[1:] == [*drain.DEPREFER, *drain.WITHDRAW]
    assert (folder / "draining").exists()
    assert (folder / "drained").exists()


def test_a_gateway_that_carries_nothing_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "169.254.100.1", [OWN])
    drain.main()
    assert machine.commands[1:] == [*drain.WITHDRAW]
    assert machine.seconds <= 1


def test_a_gateway_waits_until_another_has_carried_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "169.254.10.1", [OWN + BACKUP] * 3 + [OWN] * 20 + [OWN + BACKUP])
    drain.wait_for_turn(GATEWAY)
    assert machine.seconds == 3 + 20 + 5


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "169.254.10.1", [OWN])
    drain.wait_for_turn(GATEWAY)
    assert machine.seconds == 90


def test_gateways_that_stop_together_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    for turn in range(3):
        machine = Machine(monkeypatch, "169.254.10.1", [OWN + BACKUP])
        drain.wait_for_turn(replace(GATEWAY, turn=turn))
        waited.append(machine.seconds)
    assert waited == [5, 15, 25]


def test_the_container_stops_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("vtysh", 5)

    monkeypatch.setattr("router.drain.subprocess.run", fail)
    with pytest.raises(subprocess.TimeoutExpired):
        drain.main()
    assert (folder / "drained").exists()


def test_the_generated_configuration_has_what_the_drain_uses() -> None:
    loaded = load(REPOSITORY, "iceland-hybrid").loaded
    assert loaded
    topology = Topology(loaded.cluster)
    for planned in topology.gateways:
        lines = gateway_files(topology, planned, "")["frr.conf"].splitlines()
        assert " neighbor REMOTES peer-group" in lines
        assert "  neighbor REMOTES route-map TO-REMOTE out" in lines
        assert "route-map TO-REMOTE-DRAINING permit 10" in lines


def test_turns_follow_the_gateways_order_and_names_do_not_matter() -> None:
    loaded = load(REPOSITORY, "iceland-hybrid").loaded
    assert loaded
    topology = Topology(loaded.cluster)
    files = [gateway_files(topology, planned, "")["gateway.json"] for planned in topology.gateways]
    assert [parse(json.loads(text)).turn for text in files] == [0, 1, 2]


def stop(folder: Path) -> int:
    """The seconds that container strongswan would wait: `sleep` is replaced by one that counts."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "sleep").write_text(
        '#!/bin/sh\necho "$1" >> "$COUNT"\n[ ! -e "$FOLDER/later" ] || touch "$FOLDER/drained"\n'
    )
    (programs / "sleep").chmod(0o755)
    count = folder / "count"
    count.touch()
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "TUNNELFLEET_RUN": str(folder)}
    subprocess.run([STOP], env={**environment, "COUNT": str(count), "FOLDER": str(folder)}, check=True, timeout=30)
    return len(count.read_text().split())


def test_strongswan_does_not_wait_where_only_it_is_restarted(folder: Path) -> None:
    assert stop(folder) == 2


def test_strongswan_waits_until_frr_has_drained(folder: Path) -> None:
    (folder / "draining").touch()
    (folder / "later").touch()
    assert stop(folder) == 1


def test_strongswan_does_not_wait_for_ever(folder: Path) -> None:
    (folder / "draining").touch()
    assert stop(folder) == 160
