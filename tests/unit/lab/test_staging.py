"""What the twin is told of a cluster."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EXAMPLES
from tests.lab.host import staging
from tests.lab.host.errors import LabError
from tests.lab.twin import stage
from tests.support.fleets import REPOSITORY
from tunnelfleet.profiles import PROFILES

pytestmark = pytest.mark.examples


@cache
def staged(name: str = "iceland-gcp") -> stage.Stage:
    return staging.make(REPOSITORY, name, random.Random(1).choice)


def mounted(objects: tuple[dict[str, Any], ...]) -> set[tuple[str, str]]:
    """The entries of Secrets that some volume names, found without knowing how volumes nest."""
    found: set[tuple[str, str]] = set()

    def search(value: Any) -> None:
        if isinstance(value, dict):
            source = value.get("secret")
            if isinstance(source, dict):
                name = str(source.get("secretName") or source.get("name"))
                found.update((name, str(item["key"])) for item in source["items"])
            for inner in value.values():
                search(inner)
        if isinstance(value, list):
            for inner in value:
                search(inner)

    search(list(objects))
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_twin_reads_what_is_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "stage.json"

    written = staging.write(REPOSITORY, name, path)

    assert stage.load(path) == written


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_secret_that_a_pod_mounts_has_a_value(name: str) -> None:
    result = staged(name)

    entries = {(secret, key) for secret, values in result.secrets.items() for key in values}

    assert mounted(result.objects) <= entries


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_site_takes_its_keys_and_no_two_tunnels_share_one(name: str) -> None:
    tunnels = [(remote, tunnel) for remote in staged(name).cluster.remotes for tunnel in remote.tunnels]

    assert all(PROFILES[remote.profile].accepts_key(tunnel.key) for remote, tunnel in tunnels)  # type: ignore[index]
    assert len({tunnel.key for _, tunnel in tunnels}) == len(tunnels)


def test_a_key_holds_what_configurations_and_shells_stumble_over() -> None:
    assert staged().cluster.remotes[0].tunnels[0].key.startswith("0x#}\"'{$`\\")


def test_a_secret_may_end_in_a_newline_that_is_no_part_of_the_key() -> None:
    result = staged()

    tunnel = result.cluster.remotes[0].tunnels[1]

    assert result.secrets["ipsec-psk"]["gcp-us-central1-b"] == f"{tunnel.key}\n"


def test_keys_are_new_each_time() -> None:
    assert staging.make(REPOSITORY, "iceland-gcp").secrets != staging.make(REPOSITORY, "iceland-gcp").secrets


def test_the_password_of_a_site_is_what_its_secret_holds() -> None:
    result = staged("iceland-hybrid")

    passwords = {remote.name: remote.bgp_password for remote in result.cluster.remotes}

    assert passwords == {
        "gcp-us-central1": None,
        "reykjavik-datacenter": result.secrets["ipsec-bgp"]["reykjavik-datacenter"],
    }


def test_a_remote_says_what_its_profile_and_overrides_say() -> None:
    remotes = {remote.name: remote for remote in staged("iceland-hybrid").cluster.remotes}

    assert remotes["reykjavik-datacenter"].bfd == stage.Bfd(interval=100, multiplier=3)
    assert remotes["gcp-us-central1"].bfd is None


def test_tunnels_are_named_as_the_overlay_names_them() -> None:
    tunnels = [tunnel for remote in staged("virginia-aws").cluster.remotes for tunnel in remote.tunnels]

    assert [(tunnel.gateway, tunnel.connection, tunnel.interface) for tunnel in tunnels] == [
        ("a", "aws-us-east-1-ipsec0", "ipsec0"),
        ("a", "aws-us-east-1-ipsec1", "ipsec1"),
        ("b", "aws-us-east-1-ipsec0", "ipsec0"),
        ("b", "aws-us-east-1-ipsec1", "ipsec1"),
    ]


def test_a_cluster_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(LabError, match=r"no cluster oslo; there are: iceland-gcp, iceland-hybrid"):
        staging.make(REPOSITORY, "oslo")


def test_a_broken_inventory_is_shown_where_it_breaks(tmp_path: Path) -> None:
    folder = tmp_path / "clusters" / "oslo"
    folder.mkdir(parents=True)
    (folder / "cluster.yaml").write_text("apiVersion: tunnelfleet/v1\nkind: Cluster\nmetadata: {name: 1}\n")

    with pytest.raises(LabError, match=r"clusters/oslo/cluster\.yaml:\d+:.*tunnelfleet check oslo"):
        staging.make(tmp_path, "oslo")


def test_the_stage_is_plain_json(tmp_path: Path) -> None:
    staging.write(REPOSITORY, "texas-azure", tmp_path / "stage.json")

    data = json.loads((tmp_path / "stage.json").read_text())

    assert data["cluster"]["nodes"] == ["172.29.0.0/20", "172.29.32.0/20"]
