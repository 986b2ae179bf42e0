"""The command as people use it: what it prints, what it writes, how it exits."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.fleets import REPOSITORY
from tests.support.repositories import contents, copy_of_this, tunnelfleet
from tunnelfleet.inventory.loading import cluster_folders
from tunnelfleet.policies.registry import Policy, policies
from tunnelfleet.report import explanation

pytestmark = pytest.mark.examples
EXAMPLES = cluster_folders(REPOSITORY)
GENERATED = (
    "overlays/iceland-gcp/kustomization.yaml",
    "overlays/iceland-gcp/gateway-a/swanctl.conf",
    "overlays/iceland-gcp/gateway-b/frr.conf",
    "overlays/iceland-gcp/routes/agent.json",
    "clusters/iceland-gcp/flux-tunnel.yaml",
    "clusters/iceland-gcp/secrets/kustomization.yaml",
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return copy_of_this(tmp_path / "a path with spaces", "iceland-gcp", "texas-azure")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} does not hold {old!r}"
    path.write_text(text.replace(old, new, 1))


def failed_policies(root: Path, *arguments: str) -> set[str]:
    run = tunnelfleet("check", "--format", "json", *arguments, root=root)
    found = {finding["policy"] for finding in json.loads(run.out)["findings"]}
    assert run.code == (1 if found else 0)
    return found


def test_the_examples_pass_and_the_table_names_each() -> None:
    run = tunnelfleet("check", root=REPOSITORY)
    assert run.code == 0, run.text
    assert [line.split()[0] for line in run.out.splitlines()[1 : len(EXAMPLES) + 1]] == EXAMPLES
    assert f"OK  {len(EXAMPLES)} clusters, 0 errors, 0 warnings" in run.out


def test_what_is_committed_is_what_is_generated() -> None:
    run = tunnelfleet("generate", "--check", root=REPOSITORY)
    assert (run.code, run.out) == (0, "")


def test_generating_again_changes_nothing(repository: Path) -> None:
    before = contents(repository)
    assert tunnelfleet("generate", root=repository).code == 0
    assert contents(repository) == before


def test_generating_from_nothing_gives_the_same_bytes(repository: Path) -> None:
    before = contents(repository)
    for path in before:
        if path.startswith("overlays/") or path.endswith(("/flux-tunnel.yaml", "/namespace.yaml")):
            (repository / path).unlink()
    assert tunnelfleet("generate", root=repository).code == 0
    assert contents(repository) == before


@pytest.mark.parametrize("path", GENERATED)
def test_a_hand_edit_of_a_generated_file_fails_the_gate_and_is_undone(repository: Path, path: str) -> None:
    before = contents(repository)
    (repository / path).write_bytes(before[path] + b"\n")
    assert "overlay-matches-inventory" in failed_policies(repository, "iceland-gcp")
    assert tunnelfleet("generate", "--check", root=repository).code == 1
    assert tunnelfleet("generate", root=repository).code == 0
    assert contents(repository) == before


def test_check_only_writes_nothing(repository: Path) -> None:
    edit(repository / "clusters/iceland-gcp/cluster.yaml", "acceptedCidrs: [", "acceptedCidrs: [10.77.0.0/16, ")
    before = contents(repository)
    run = tunnelfleet("generate", "--check", root=repository)
    assert run.code == 1
    assert "changed: overlays/iceland-gcp/gateway-a/frr.conf" in run.out
    assert "overlays/texas-azure" not in run.out
    assert contents(repository) == before


def test_a_removed_cluster_leaves_an_orphan_until_the_next_generation(repository: Path) -> None:
    for path in sorted((repository / "clusters/texas-azure").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (repository / "clusters/texas-azure").rmdir()
    assert failed_policies(repository) == {"orphan-overlays"}
    assert tunnelfleet("generate", root=repository).code == 0
    assert not (repository / "overlays/texas-azure").exists()
    assert failed_policies(repository) == set()


def test_one_unreadable_cluster_does_not_stop_the_others(repository: Path) -> None:
    (repository / "clusters/iceland-gcp/cluster.yaml").write_bytes(b"\xff\xfe\0")
    edit(repository / "clusters/texas-azure/cluster.yaml", "profile: azure-vpn", "profile: azure")
    run = tunnelfleet("check", "--format", "json", root=repository)
    found = {(finding["cluster"], finding["policy"]) for finding in json.loads(run.out)["findings"]}
    assert run.code == 1
    assert {(name, "inventory-valid") for name in ("iceland-gcp", "texas-azure")} <= found


def test_bad_input_makes_generate_refuse_and_change_nothing(repository: Path) -> None:
    edit(repository / "clusters/iceland-gcp/cluster.yaml", "name: iceland-gcp", "name: ../../elsewhere")
    before = contents(repository)
    run = tunnelfleet("generate", root=repository)
    assert run.code == 2
    assert "clusters/iceland-gcp/cluster.yaml:" in run.out
    assert contents(repository) == before


def test_the_folder_above_is_found_from_inside_it(repository: Path) -> None:
    inside = repository / "clusters" / "iceland-gcp"
    assert tunnelfleet("check", "iceland-gcp", cwd=inside).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "nowhere"), "no cluster nowhere"),
        (("render", "nowhere"), "there are: iceland-gcp"),
        (("explain", "cidr-hostbits"), "did you mean cidr-host-bits?"),
        (("check", "--changed-since", "HEAD"), "error: "),
        (("check", "--format", "yaml"), "'yaml' is not one of"),
        (("new", "Bad_Name"), "cannot be a cluster's name"),
        (("new", "iceland-gcp"), "is already there"),
        (("new", "fresh"), "--gateway (2 or more) is missing"),
        (("import-chart", "no-such-values.yaml", "fresh"), "cannot be read"),
        (("generate", "--chek"), "No such option"),
    ],
)
def test_a_command_that_cannot_be_used_says_why_and_exits_2(
    repository: Path, arguments: tuple[str, ...], message: str
) -> None:
    run = tunnelfleet(*arguments, cwd=repository)
    assert run.code == 2
    assert message in run.err


def test_outside_a_repository_it_says_so(tmp_path: Path) -> None:
    run = tunnelfleet("check", cwd=tmp_path)
    assert run.code == 2
    assert "--root DIR" in run.err


def test_without_kustomize_it_says_how_to_get_it(repository: Path) -> None:
    run = tunnelfleet("check", root=repository, env={"KUSTOMIZE": "/nonexistent/kustomize"})
    assert run.code == 2
    assert all(word in run.err for word in ("kustomize", "Debian", "brew", "go install"))


def test_a_kustomize_that_fails_is_a_finding(repository: Path) -> None:
    (repository / "base/routes/daemonset.yaml").write_text("kind: [")
    assert "overlay-renders" in failed_policies(repository)


def test_a_policy_is_explained() -> None:
    run = tunnelfleet("explain", "cidr-host-bits")
    assert run.code == 0
    assert all(part in run.out for part in ("cidr-host-bits (error", "Why: ", "Fails:", "Passes:"))


@pytest.mark.parametrize("policy", policies(), ids=lambda policy: policy.name)
def test_every_policy_has_what_an_explanation_needs(policy: Policy) -> None:
    assert policy.asks.endswith(".")
    assert policy.why.endswith((".", ")"))
    assert policy.failing != policy.passing
    assert policy.name in explanation.render(policy)


def test_the_fleet_as_a_table(repository: Path) -> None:
    run = tunnelfleet("list", root=repository)
    assert run.code == 0
    assert all(name in run.out for name in ("iceland-gcp", "texas-azure", "gcp-ha-vpn"))


def test_render_prints_what_kustomize_builds(repository: Path) -> None:
    run = tunnelfleet("render", "iceland-gcp", root=repository)
    assert run.code == 0
    assert "name: ipsec-tunnel-a" in run.out


def test_only_changed_clusters_are_rendered_but_the_whole_fleet_is_compared(repository: Path) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "fleet"]):
        subprocess.run(["git", "-C", str(repository), *command], check=True, capture_output=True)
    run = tunnelfleet("check", "--changed-since", "HEAD", "--format", "json", root=repository)
    assert (run.code, json.loads(run.out)["clusters"]) == (0, 0)
    text = (REPOSITORY / "clusters/iceland-gcp/cluster.yaml").read_text()
    twin = repository / "clusters/iceland-twin/cluster.yaml"
    twin.parent.mkdir()
    twin.write_text(text.replace("name: iceland-gcp", "name: iceland-twin"))
    run = tunnelfleet("check", "--changed-since", "HEAD", "--format", "json", root=repository)
    data = json.loads(run.out)
    assert (run.code, data["clusters"]) == (1, 1)
    assert {"public-addresses-unique", "gateway-nodes-unique"} <= {finding["policy"] for finding in data["findings"]}


def test_new_gives_a_cluster_that_only_wants_its_keys(repository: Path) -> None:
    answers = {
        "nodes": ["172.31.0.0/20"],
        "pods": ["10.240.0.0/16"],
        "services": ["10.241.0.0/16"],
        "gateway": ["node-1.example,172.31.0.11,203.0.113.211", "node-2.example,172.31.0.12,203.0.113.212"],
        "remote-name": ["oslo"],
        "remote-asn": ["65402"],
        "accept": ["10.99.0.0/16"],
        "tunnel": ["a,192.0.2.211,169.254.99.2,169.254.99.1", "b,192.0.2.212,169.254.99.6,169.254.99.5"],
    }  # fmt: skip
    flags = [part for flag, values in answers.items() for value in values for part in (f"--{flag}", value)]
    run = tunnelfleet("new", "norway", *flags, root=repository)
    assert run.code == 0, run.text
    assert tunnelfleet("generate", "norway", root=repository).code == 0
    assert failed_policies(repository) == {"preshared-keys-provided"}


def test_the_chart_values_give_a_file_that_says_what_is_wrong_with_it(repository: Path) -> None:
    values = REPOSITORY / "tests/unit/data/chart-values.yaml"
    run = tunnelfleet("import-chart", str(values), "from-chart", root=repository)
    assert run.code == 0, run.text
    assert "# import:" in (repository / "clusters/from-chart/cluster.yaml").read_text()
    assert "gateway-address-in-node-range" in failed_policies(repository, "from-chart")


def test_keys_of_the_chart_go_into_a_pipe_only(repository: Path) -> None:
    values = REPOSITORY / "tests/unit/data/chart-values.yaml"
    run = tunnelfleet("import-chart", str(values), "from-chart", "--keys", root=repository)
    assert run.code == 0
    assert run.out.startswith("apiVersion: v1\nkind: Secret\n")
    assert not (repository / "clusters/from-chart").exists()


def test_no_colour_where_no_terminal_is(repository: Path) -> None:
    edit(repository / "clusters/iceland-gcp/cluster.yaml", "asn: 6", "asn: 7")
    assert "\x1b" not in tunnelfleet("check", root=repository).text
