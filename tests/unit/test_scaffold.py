"""A new cluster.yaml from answers: whatever is accepted as an answer is what the file then says."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelfleet.inventory.document import parse
from tunnelfleet.inventory.loading import LoadedCluster, validate
from tunnelfleet.inventory.model import Cluster, ProfileName
from tunnelfleet.inventory.writing import SCHEMA_LINE, letters, mapping, one_line, scalar, sequence
from tunnelfleet.policies.registry import run_cluster
from tunnelfleet.scaffold import QUESTIONS, Answers, Given, answers, next_steps, scaffold

SANE: Given = {
    "name": "north",
    "nodes": "172.27.48.0/20",
    "pods": ["10.234.0.0/16"],
    "services": "10.233.0.0/16",
    "gateways": [
        "node-1.example.internal,172.27.48.11,203.0.113.11",
        "node-2.example.internal, 172.27.48.12, 203.0.113.12",
    ],
    "remote_name": "site",
    "remote_asn": "64514",
    "accepted": "10.0.0.0/16,10.1.0.0/16",
    "tunnels": [
        "a 198.51.100.34 169.254.21.2 169.254.21.1",
        "b 198.51.100.35 169.254.22.2 169.254.22.1",
    ],
}


def accepted(given: Given) -> Answers:
    found, problems = answers(given)
    assert found is not None, problems
    return found


def load(text: str) -> LoadedCluster:
    document, findings = parse("clusters/north/cluster.yaml", text)
    assert document is not None, findings
    assert findings == []
    cluster, problems = validate(document)
    assert cluster is not None, problems
    return LoadedCluster("north", document, cluster)


def meaning(cluster: Cluster) -> dict[str, Any]:
    """The cluster in the words of Answers."""
    spec, remote = cluster.spec, cluster.spec.remotes[0]
    return {
        "name": cluster.metadata.name,
        "nodes": tuple(map(str, spec.networks.nodes)),
        "pods": tuple(map(str, spec.networks.pods)),
        "services": tuple(map(str, spec.networks.services)),
        "gateways": tuple(
            (gateway.node, str(gateway.internal_ip), str(gateway.public_ip)) for gateway in spec.gateways
        ),
        "remote_name": remote.name,
        "remote_asn": remote.asn,
        "accepted": tuple(map(str, remote.accepted_cidrs)),
        "tunnels": tuple(
            (tunnel.gateway, str(tunnel.peer_address), str(tunnel.inside.local), str(tunnel.inside.peer))
            for tunnel in remote.tunnels
        ),
        "profile": remote.profile,
        "namespace": spec.namespace,
        "node_interface": spec.node_interface,
        "local_asn": spec.bgp.local_asn,
        "internal_asn": spec.bgp.internal_asn,
        "cilium": spec.cilium.version,
    }


def intent(given: Answers) -> dict[str, Any]:
    """The answers as plain data."""
    plain = {question.key: getattr(given, question.key) for question in QUESTIONS}
    plain["gateways"] = tuple((gateway.node, gateway.internal_ip, gateway.public_ip) for gateway in given.gateways)
    plain["tunnels"] = tuple(
        (tunnel.gateway, tunnel.peer_address, tunnel.local, tunnel.peer) for tunnel in given.tunnels
    )
    return plain


@pytest.mark.parametrize("profile", get_args(ProfileName))
def test_sane_answers_give_a_cluster_that_all_policies_pass(profile: str) -> None:
    given = {**SANE, "profile": profile}
    loaded = load(scaffold(accepted(given)))
    assert run_cluster(loaded) == []


def test_the_file_starts_with_the_schema_and_explains_itself() -> None:
    lines = scaffold(accepted(SANE)).splitlines()
    assert lines[0] == SCHEMA_LINE
    assert sum("#" in line for line in lines) > 10
    assert max(map(len, lines)) <= 120


def test_each_tunnel_has_a_key_of_its_own_and_its_slash_30() -> None:
    tunnels = ["a,198.51.100.1,169.254.21.2,169.254.21.1", "a,198.51.100.2,169.254.21.6,169.254.21.5"]
    given = {**SANE, "tunnels": [*tunnels, "b,198.51.100.3,169.254.21.10,169.254.21.9"]}
    found = load(scaffold(accepted(given))).cluster.spec.remotes[0].tunnels
    assert [tunnel.preshared_key.key for tunnel in found] == ["site-a1", "site-a2", "site-b"]
    assert [str(tunnel.inside.cidr) for tunnel in found] == [
        "169.254.21.0/30",
        "169.254.21.4/30",
        "169.254.21.8/30",
    ]


@pytest.mark.parametrize(("profile", "asn"), [("aws-vpn", 64512), ("azure-vpn", 65515)])
def test_a_cloud_with_one_usual_as_number_need_not_be_asked(profile: str, asn: int) -> None:
    given = {key: value for key, value in SANE.items() if key != "remote_asn"}
    assert accepted({**given, "profile": profile}).remote_asn == asn


def test_all_that_is_missing_is_said_at_once_with_the_flags() -> None:
    found, problems = answers({})
    assert found is None
    assert [problem.split()[0] for problem in problems] == [
        "NAME",
        "--nodes",
        "--pods",
        "--services",
        "--gateway",
        "--remote-name",
        "--remote-asn",
        "--accept",
        "--tunnel",
    ]


@pytest.mark.parametrize(
    ("key", "answer", "problem"),
    [
        ("name", "North", "NAME: expected a name, found `North`"),
        ("nodes", "172.27.48.1/20", "--nodes: `172.27.48.1/20` has bits set beyond its length; write 172.27.48.0/20"),
        ("pods", "fd00::/64", "--pods: expected an IPv4 range, found the IPv6"),
        ("services", "10.0.0.0", "--services: expected an IPv4 range, found `10.0.0.0` without a length"),
        ("gateways", ["a,b", "c"], "--gateway: expected NODE,INTERNAL-IP,PUBLIC-IP, found `a,b`"),
        ("gateways", ["node,10.0.0.1,203.0.113.300"], "--gateway (2 or more) is missing"),
        ("remote_asn", "0", "--remote-asn: expected an AS number, found `0`"),
        ("remote_asn", "4294967296", "--remote-asn: expected an AS number"),
        ("profile", "gcp", "--profile: expected a profile, found `gcp`; write one of gcp-ha-vpn, aws-vpn"),
        (
            "tunnels",
            ["a,198.51.100.1,169.254.21.2,169.254.21.5", "b,198.51.100.2,169.254.22.2,169.254.22.1"],
            "--tunnel: 169.254.21.2 and 169.254.21.5 are not the two hosts of one /30;"
            " in 169.254.21.0/30 they are 169.254.21.1 and 169.254.21.2",
        ),
        ("node_interface", "a/b", "--node-interface: expected a network interface's name, found `a/b`"),
        ("cilium", "1.17.3", "--cilium: expected a minor version, found `1.17.3`"),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(key: str, answer: str | list[str], problem: str) -> None:
    found, problems = answers({**SANE, key: answer})
    assert found is None
    assert any(line.startswith(problem) for line in problems), problems


def test_every_question_can_be_asked() -> None:
    assert {question.key for question in QUESTIONS} == set(Answers.__slots__)
    assert all(
        question.prompt and (question.flag.startswith("--") or question.flag == "NAME") for question in QUESTIONS
    )


def test_the_next_steps_name_the_keys_and_the_commands() -> None:
    steps = next_steps(accepted(SANE))
    assert "site-a, site-b" in steps[0]
    assert "sops clusters/north/secrets/secret-ipsec-psk.yaml" in steps[0]
    assert steps[-1].endswith("tunnelfleet check north")


# Whatever is accepted

labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
addresses = st.ip_addresses(v=4).map(str)
ranges = st.tuples(st.ip_addresses(v=4), st.integers(0, 32)).map(
    lambda pair: f"{type(pair[0])(int(pair[0]) >> 32 - pair[1] << 32 - pair[1])}/{pair[1]}"
)
asns = st.integers(1, 2**32 - 1).map(str)
gateways = st.tuples(st.lists(labels, min_size=1, max_size=3).map(".".join), addresses, addresses).map(",".join)
tunnels = st.builds(
    lambda gateway, peer, base, turned: (
        f"{gateway} {peer} {' '.join(str(type(base)(int(base) & ~3 | host)) for host in ((1, 2), (2, 1))[turned])}"
    ),
    st.sampled_from("abcnoy"),
    addresses,
    st.ip_addresses(v=4),
    st.integers(0, 1),
)
valid = st.fixed_dictionaries(
    {
        "name": labels,
        "nodes": st.lists(ranges, min_size=1, max_size=3),
        "pods": st.lists(ranges, min_size=1, max_size=3),
        "services": st.lists(ranges, min_size=1, max_size=3),
        "gateways": st.lists(gateways, min_size=2, max_size=4),
        "remote_name": labels,
        "remote_asn": asns,
        "accepted": st.lists(ranges, min_size=1, max_size=3),
        "tunnels": st.lists(tunnels, min_size=2, max_size=4),
    },
    optional={
        "profile": st.sampled_from(get_args(ProfileName)),
        "namespace": labels,
        "node_interface": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", fullmatch=True),
        "local_asn": asns,
        "internal_asn": asns,
        "cilium": st.integers(0, 99).map(lambda minor: f"1.{minor}"),
    },
)


@given(given_answers=valid)
def test_a_file_means_what_was_answered(given_answers: dict[str, str | list[str]]) -> None:
    found = accepted(given_answers)
    assert meaning(load(scaffold(found)).cluster) == intent(found)


@given(given_answers=valid, key=st.sampled_from([question.key for question in QUESTIONS]), text=st.text(min_size=1))
def test_any_text_is_refused_or_means_what_it_says(
    given_answers: dict[str, str | list[str]], key: str, text: str
) -> None:
    found, problems = answers({**given_answers, key: [text, text]})
    if found is None:
        assert problems
    else:
        assert meaning(load(scaffold(found)).cluster) == intent(found)


# How values are written


@given(value=st.text() | st.integers(-(10**17), 10**17) | st.booleans())
def test_a_value_reads_back_as_it_was(value: str | int | bool) -> None:
    for text in (f"k: {scalar(value)}", f"k: {sequence([value])}", f"k: {mapping({'v': value})}"):
        document, findings = parse("f", text)
        assert document is not None, (text, findings)
        found = document.data["k"]
        while isinstance(found, (list, dict)):
            found = found[0] if isinstance(found, list) else found["v"]
        assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    "word", ["no", "On", "null", "1e5", "0x1F", "010", "1.17", "", "- a", "a: b", "a #b", "~", "y"]
)
def test_what_could_be_read_as_something_else_is_quoted(word: str) -> None:
    assert scalar(word) == f'"{word}"'


@pytest.mark.parametrize(
    "word", ["ens3", "10.0.0.0/8", "192.0.2.1", "site-a", "np-1.example.internal", "169.254.0.0/30"]
)
def test_what_is_plain_stays_plain(word: str) -> None:
    assert scalar(word) == word


@given(text=st.text())
def test_a_comment_is_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()


def test_gateways_never_run_out_of_letters() -> None:
    names = [letters(index) for index in range(26 * 27 + 1)]
    assert names[:2] + names[25:28] + names[-2:] == ["a", "b", "z", "aa", "ab", "zz", "aaa"]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+", name) for name in names)
