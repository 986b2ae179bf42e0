"""agent.json: what the agent refuses to start with, and says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from agent.prefix import address
from agent.settings import Mode, SettingsError, load

from tests.unit.agent.world import AGENT_JSON

TUNNELS = {"interface": "ss0", "nextHop": "169.254.100.2", "table": 11100, "rulePriority": 111}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "agent.json"
    path.write_text(json.dumps(AGENT_JSON | changes))
    return path


def test_a_client_knows_all_gateways(tmp_path: Path) -> None:
    found = load(write(tmp_path), "172.27.48.20")

    assert found.mode is Mode.CLIENT
    assert list(found.gateways.values()) == ["a", "b"]
    assert found.tunnel_peer is None


def test_a_gateway_knows_the_others_and_its_tunnels(tmp_path: Path) -> None:
    found = load(write(tmp_path, mode="reflector", gateway=TUNNELS), "172.27.48.11")

    assert list(found.gateways.values()) == ["b"]
    assert found.name(address("169.254.100.2")) == "tunnel"


@pytest.mark.parametrize(
    ("changes", "node", "message"),
    [
        pytest.param({}, "172.27.64.1", "this node's address is in none of nodeCidrs", id="another network"),
        pytest.param({}, "172.27.48.11", "does not fit mode client", id="a gateway as a client"),
        pytest.param({"mode": "reflector"}, "172.27.48.20", "does not fit mode reflector", id="a node as a gateway"),
        pytest.param({"acceptedCidrs": ["10.0.0.1/16"]}, "172.27.48.20", "has host bits set", id="host bits"),
        pytest.param({"kernel": {}}, "172.27.48.20", "'nexthops' is missing", id="something missing"),
        pytest.param({}, "node-1", "Expected 4 octets", id="a name as an address"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], node: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(write(tmp_path, **changes), node)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"agent\.json"):
        load(tmp_path / "agent.json", "172.27.48.20")
