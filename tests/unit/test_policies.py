"""Policies on inventories: the registry, every example, every fixture, and what holds for any inventory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.policies import support
from tunnelfleet.findings import Severity
from tunnelfleet.inventory.document import parse
from tunnelfleet.inventory.loading import LoadedCluster, cluster_folders, load, validate
from tunnelfleet.policies import examples
from tunnelfleet.policies.registry import (
    NAMES,
    Policy,
    Scope,
    policies,
    register,
    run_cluster,
    run_fleet,
)

REPOSITORY = Path(__file__).parents[2]
ON_INVENTORIES = policies(Scope.READING, Scope.CLUSTER, Scope.FLEET)
# A name is in two folders only where one of them does not match.
INSEPARABLE = {"cluster-names-unique": {"name-matches-folder"}}


def names(chosen: list[Policy]) -> list[str]:
    return [policy.name for policy in chosen]


class TestRegistry:
    def test_every_name_has_its_policy(self) -> None:
        assert names(policies()) == list(NAMES)

    @pytest.mark.parametrize("policy", policies(), ids=lambda policy: policy.name)
    def test_every_policy_explains_itself(self, policy: Policy) -> None:
        for text in (policy.asks, policy.why):
            assert re.fullmatch(r"[A-Za-z0-9].*[.]", text), f"found {text!r}, wanted a sentence"
            assert "  " not in text, "found two spaces in a row, from joined lines"
        assert policy.failing.strip()
        assert policy.passing.strip()
        assert policy.failing != policy.passing

    @pytest.mark.parametrize("policy", policies(), ids=lambda policy: policy.name)
    def test_every_policy_can_fail(self, policy: Policy) -> None:
        assert support.fixtures([policy.name]), f"{policy.name} has no fixture in tests/policies/invalid/{policy.name}/"

    def test_only_policies_have_fixtures(self) -> None:
        assert {folder.name for folder in support.INVALID.iterdir()} <= set(NAMES)

    def test_a_name_is_given_once(self) -> None:
        with pytest.raises(ValueError, match="two policies are called asn-valid"):
            register(next(policy for policy in policies() if policy.name == "asn-valid"))

    def test_a_name_is_in_the_list(self) -> None:
        unknown = Policy(
            name="tea-is-hot",
            scope=Scope.CLUSTER,
            severity=Severity.ERROR,
            asks="",
            why="",
            failing="",
            passing="",
            check=None,
        )
        with pytest.raises(ValueError, match="tea-is-hot is not in"):
            register(unknown)


class TestExamples:
    @pytest.mark.parametrize("policy", ON_INVENTORIES, ids=lambda policy: policy.name)
    def test_the_failing_one_fails_this_policy_alone(self, policy: Policy) -> None:
        found = {finding.policy for finding in examples.findings(policy, policy.failing)}
        assert policy.name in found
        assert found <= {policy.name} | INSEPARABLE.get(policy.name, set())

    @pytest.mark.parametrize("policy", ON_INVENTORIES, ids=lambda policy: policy.name)
    def test_the_passing_one_passes_all(self, policy: Policy) -> None:
        assert examples.findings(policy, policy.passing) == []


class TestFixtures:
    @pytest.mark.parametrize(
        "fixture",
        support.fixtures(names(ON_INVENTORIES)),
        ids=lambda path: path.relative_to(support.INVALID).as_posix(),
    )
    def test_invalid(self, fixture: Path, tmp_path: Path) -> None:
        support.lay_out(fixture, tmp_path)
        found = support.inventory_findings(tmp_path)
        support.assert_expected(found, tmp_path)
        assert fixture.parent.name in {finding.policy for finding in found}

    @pytest.mark.parametrize("fixture", sorted(support.VALID.iterdir()), ids=lambda path: path.stem)
    def test_valid(self, fixture: Path, tmp_path: Path) -> None:
        support.lay_out(fixture, tmp_path)
        assert cluster_folders(tmp_path)
        support.assert_expected(support.inventory_findings(tmp_path), tmp_path)

    def test_the_examples_of_the_repository(self) -> None:
        found = [support.outcome(finding) for finding in support.inventory_findings(REPOSITORY)]
        assert not found, "\n".join(map(str, found))


def mentioned(text: str) -> set[str]:
    return set(re.findall(r"clusters/\S+?:[0-9]+:[0-9]+", text))


@pytest.mark.parametrize(
    "fixture",
    support.fixtures(names(ON_INVENTORIES)),
    ids=lambda path: path.relative_to(support.INVALID).as_posix(),
)
class TestEveryFinding:
    """What a person can count on, whatever the policy."""

    def test_says_what_to_do(self, fixture: Path, tmp_path: Path) -> None:
        support.lay_out(fixture, tmp_path)
        assert all(finding.hint for finding in support.inventory_findings(tmp_path))

    def test_names_the_other_place_and_carries_it(self, fixture: Path, tmp_path: Path) -> None:
        support.lay_out(fixture, tmp_path)
        for finding in support.inventory_findings(tmp_path):
            assert mentioned(finding.message) == {str(place) for place in finding.related}

    def test_is_of_the_cluster_that_it_points_into(self, fixture: Path, tmp_path: Path) -> None:
        support.lay_out(fixture, tmp_path)
        for finding in support.inventory_findings(tmp_path):
            assert finding.location.file == f"clusters/{finding.cluster}/cluster.yaml"


class TestFleet:
    @pytest.mark.parametrize(
        "fixture", [path for path in support.fixtures(names(policies(Scope.FLEET))) if path.is_dir()], ids=str
    )
    def test_the_order_of_the_clusters_means_nothing(self, fixture: Path) -> None:
        fleet = [reading.loaded for folder in cluster_folders(fixture) if (reading := load(fixture, folder)).loaded]
        loaded = [each for each in fleet if each is not None]
        assert run_fleet(loaded) == run_fleet(loaded[::-1])

    def test_no_cluster_at_all(self) -> None:
        assert run_fleet([]) == []


# Values that the model takes, most of them at an edge of what some policy asks.
ADDRESSES = st.sampled_from(
    ["0.0.0.0", "10.0.0.1", "127.0.0.1", "169.254.174.220", "169.254.174.221", "203.0.113.11", "255.255.255.255"]
)
CIDRS = st.sampled_from(
    ["0.0.0.0/0", "0.0.0.0/32", "10.0.0.0/8", "10.234.0.5/16", "169.254.0.0/16", "128.0.0.0/1", "255.255.255.255/32"]
)
RANGES = st.lists(CIDRS, min_size=1, max_size=4)
TEXTS = st.sampled_from(["a", "b", "-", "A", "x" * 300, "ä", "..", "a b", "\u202e"])
NUMBERS = st.integers(-1, 2**33) | st.sampled_from([0, 23456, 64514, 65010, 65535])
CHANGES: dict[tuple[str | int, ...], st.SearchStrategy[Any]] = {
    ("metadata", "name"): TEXTS,
    ("metadata", "labels"): st.dictionaries(TEXTS, TEXTS, max_size=2),
    ("spec", "namespace"): TEXTS,
    ("spec", "networks", "nodes"): RANGES,
    ("spec", "networks", "pods"): RANGES,
    ("spec", "networks", "services"): RANGES,
    ("spec", "localCidrs"): RANGES,
    ("spec", "advertisedCidrs"): st.lists(CIDRS, max_size=4),
    ("spec", "gateways", 0, "name"): TEXTS,
    ("spec", "gateways", 0, "node"): TEXTS,
    ("spec", "gateways", 0, "internalIP"): ADDRESSES,
    ("spec", "gateways", 0, "publicIP"): ADDRESSES,
    ("spec", "bgp", "localASN"): NUMBERS,
    ("spec", "bgp", "internalASN"): NUMBERS,
    ("spec", "remotes", 0, "name"): TEXTS,
    ("spec", "remotes", 0, "profile"): st.sampled_from(["gcp-ha-vpn", "aws-vpn", "azure-vpn", "generic"]),
    ("spec", "remotes", 0, "asn"): NUMBERS,
    ("spec", "remotes", 0, "acceptedCidrs"): RANGES,
    ("spec", "remotes", 0, "overrides"): st.fixed_dictionaries(
        {},
        optional={
            "hold": st.integers(3, 200),
            "keepalive": st.integers(1, 200),
            "espLifetime": st.integers(300, 86400),
            "ikeLifetime": st.integers(300, 86400),
            "insideAllowed": RANGES,
            "maximumAdvertised": st.integers(1, 3),
            "bfd": st.sampled_from([False, {"interval": 300, "multiplier": 3}]),
        },
    ),
    ("spec", "remotes", 0, "tunnels", 0, "gateway"): TEXTS,
    ("spec", "remotes", 0, "tunnels", 0, "peerAddress"): ADDRESSES,
    ("spec", "remotes", 0, "tunnels", 0, "inside", "local"): ADDRESSES,
    ("spec", "remotes", 0, "tunnels", 0, "inside", "peer"): ADDRESSES,
    ("spec", "remotes", 0, "tunnels", 0, "inside", "cidr"): CIDRS,
    ("spec", "remotes", 0, "tunnels", 0, "presharedKey", "key"): TEXTS,
}
SAMPLE = (Path(examples.__file__).parent / examples.SAMPLE).read_text("utf-8")


def changed(changes: dict[tuple[str | int, ...], Any]) -> dict[str, Any]:
    data: dict[str, Any] = yaml.load(SAMPLE, yaml.CSafeLoader)
    for path, value in changes.items():
        container: Any = data
        for part in path[:-1]:
            container = container[part]
        container[path[-1]] = value
    return data


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Any]:
    paths = draw(st.lists(st.sampled_from(list(CHANGES)), max_size=6, unique=True))
    return changed({path: draw(CHANGES[path]) for path in paths})


def loaded_from(data: dict[str, Any], folder: str) -> LoadedCluster:
    document, unreadable = parse(
        f"clusters/{folder}/cluster.yaml", yaml.dump(data, Dumper=yaml.CSafeDumper, allow_unicode=True)
    )
    assert document is not None, unreadable
    cluster, refused = validate(document)
    assert cluster is not None, refused
    return LoadedCluster(folder, document, cluster)


class TestAnyInventory:
    @given(inventories())
    @settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
    def test_is_judged_without_an_exception_and_to_the_point(self, data: dict[str, Any]) -> None:
        loaded = loaded_from(data, "iceland-prod")
        lines = loaded.document.text.split("\n")
        for finding in run_cluster(loaded) + run_fleet([loaded]):
            assert finding.message
            assert finding.hint
            assert finding.location.column <= len(lines[finding.location.line - 1])

    @given(st.lists(inventories(), min_size=2, max_size=3))
    @settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
    def test_is_compared_with_others_without_an_exception(self, fleet: list[dict[str, Any]]) -> None:
        loaded = [loaded_from(data, f"cluster-{index}") for index, data in enumerate(fleet)]
        assert run_fleet(loaded) == run_fleet(loaded[::-1])
