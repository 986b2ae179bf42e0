"""The import of the Helm chart's values: nothing that the chart could express is lost, and no key is ever shown."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunnelfleet.chart import (
    Imported,
    ImportOptions,
    Note,
    NoteKind,
    import_chart,
    import_options,
    keys_secret,
    open_values,
)
from tunnelfleet.findings import Finding
from tunnelfleet.inventory.document import Document, parse
from tunnelfleet.inventory.loading import LoadedCluster, load, validate
from tunnelfleet.inventory.model import Cluster
from tunnelfleet.policies.registry import run_cluster

VALUES = Path(__file__).parent / "data" / "chart-values.yaml"
NOTHING = ImportOptions()
KEY = "somesecretkey"


def document(text: str) -> Document:
    read, findings = parse("values.yaml", text)
    assert read is not None
    assert findings == []
    return read


def imported(values: Any = None, options: ImportOptions = NOTHING) -> Imported:
    """The import of the sample, or of other values; ranges that are the sample's keep their comments."""
    text = VALUES.read_text()
    if values is not None:
        before, _, rest = text.partition("localCidrs:\n")
        ranges = f"localCidrs:\n{rest[: rest.index('tunnels:')]}"
        assert "localCidrs" not in before
        same = isinstance(values, dict) and values.get("localCidrs") == sample()["localCidrs"]
        others = {key: value for key, value in values.items() if key != "localCidrs"} if same else values
        text = (ranges if same else "") + yaml.safe_dump(others, sort_keys=False)
    return import_chart(document(text), "north", options)


def sample(**changes: Any) -> dict[str, Any]:
    """The chart's values with other top-level keys."""
    values: dict[str, Any] = yaml.safe_load(VALUES.read_text())
    return {**values, **changes}


def sample_tunnel(**changes: Any) -> dict[str, Any]:
    """The values with another first tunnel; None takes a key away."""
    values = sample()
    tunnel = {**values["tunnels"][0], **changes}
    values["tunnels"][0] = {key: value for key, value in tunnel.items() if value is not None}
    return values


def text_of(result: Imported) -> str:
    assert result.text is not None
    return result.text


def read_back(result: Imported) -> tuple[Document, Cluster | None, list[Finding]]:
    """The written file as the inventory reads it."""
    read, findings = parse("clusters/north/cluster.yaml", text_of(result))
    assert read is not None, findings
    assert findings == []
    cluster, problems = validate(read)
    return read, cluster, problems


def cluster_of(result: Imported) -> Cluster:
    _, cluster, problems = read_back(result)
    assert cluster is not None, problems
    return cluster


def check(result: Imported) -> list[Finding]:
    """What the check then says about the written file, by the policies of one cluster."""
    read, cluster, problems = read_back(result)
    return problems if cluster is None else run_cluster(LoadedCluster("north", read, cluster))


def line_of(result: Imported, finding: Finding) -> str:
    return text_of(result).splitlines()[finding.location.line - 1]


def noted(result: Imported, kind: NoteKind) -> list[Note]:
    return [note for note in result.notes if note.kind is kind]


def says(result: Imported, kind: NoteKind, words: str) -> Note:
    found = [note for note in noted(result, kind) if words in note.message]
    assert found, f"no {kind} note with {words!r} in {[note.message for note in noted(result, kind)]}"
    return found[0]


# What the chart could express


def test_everything_that_has_a_place_is_kept() -> None:
    spec = cluster_of(imported()).spec
    assert [str(cidr) for cidr in spec.local_cidrs] == ["10.234.0.0/16", "172.27.48.0/20", "10.233.0.0/16"]
    assert spec.node_interface == "ens3"
    assert (spec.bgp.local_asn, spec.bgp.internal_asn, spec.remotes[0].asn) == (65010, 65020, 64512)
    assert [(gateway.name, gateway.node, str(gateway.internal_ip)) for gateway in spec.gateways] == [
        ("a", "np-aaaaaaaa-1.eu-iceland1-a.compute.internal", "172.27.0.1"),
        ("b", "np-aaaaaaaa-2.eu-iceland1-a.compute.internal", "172.27.0.2"),
    ]
    tunnels = [
        (tunnel.gateway, str(tunnel.peer_address), str(tunnel.inside.local), str(tunnel.inside.peer))
        for tunnel in spec.remotes[0].tunnels
    ]
    assert tunnels == [
        ("a", "34.34.34.34", "169.254.174.222", "169.254.174.221"),
        ("b", "34.34.34.35", "169.254.197.150", "169.254.197.149"),
    ]


def test_the_range_inside_a_tunnel_is_worked_out_from_its_ends() -> None:
    tunnels = cluster_of(imported()).spec.remotes[0].tunnels
    assert [str(tunnel.inside.cidr) for tunnel in tunnels] == ["169.254.174.220/30", "169.254.197.148/30"]


def test_what_is_announced_is_kept_where_it_differs() -> None:
    values = sample(bgp={"localASN": 65010, "peerASN": 64512, "advertiseCidrs": ["10.234.0.0/16"]})
    assert [str(cidr) for cidr in cluster_of(imported(values)).spec.advertised_cidrs] == ["10.234.0.0/16"]


def test_two_tunnels_of_one_node_become_one_gateway_with_two_tunnels() -> None:
    values = sample()
    third = {**values["tunnels"][0], "localTunnelIP": "169.254.9.2", "peerTunnelIP": "169.254.9.1"}
    spec = cluster_of(imported(sample(tunnels=[*values["tunnels"], third]))).spec
    assert [gateway.name for gateway in spec.gateways] == ["a", "b"]
    tunnels = spec.remotes[0].tunnels
    assert [tunnel.gateway for tunnel in tunnels] == ["a", "b", "a"]
    assert [tunnel.preshared_key.key for tunnel in tunnels] == [
        "north-remote-a1",
        "north-remote-b",
        "north-remote-a2",
    ]


def test_more_than_two_nodes_become_as_many_gateways() -> None:
    values = sample()
    tunnels = [{**values["tunnels"][0], "nodeName": f"node-{index}"} for index in range(28)]
    names = [gateway.name for gateway in cluster_of(imported(sample(tunnels=tunnels))).spec.gateways]
    assert names[:3] == ["a", "b", "c"]
    assert names[25:] == ["z", "aa", "ab"]


def test_missing_keys_take_what_the_chart_itself_ships() -> None:
    values = {"tunnels": sample()["tunnels"]}
    result = imported(values)
    spec = cluster_of(result).spec
    assert (spec.bgp.local_asn, spec.bgp.internal_asn, spec.remotes[0].asn) == (65010, 65020, 64512)
    assert [str(cidr) for cidr in spec.networks.nodes] == ["172.27.48.0/20"]
    says(result, NoteKind.UNKNOWN, "localCidrs is missing")
    says(result, NoteKind.UNKNOWN, "bgp.peerASN is missing")


def test_the_same_values_always_give_the_same_text() -> None:
    assert imported() == imported()


def test_the_migrated_example_keeps_what_its_comments_do_not_call_mended() -> None:
    reading = load(Path(__file__).parents[2], "iceland-migrated")
    assert reading.loaded is not None, reading.findings
    example, sample_spec = reading.loaded.cluster.spec, cluster_of(imported()).spec
    kept = ("namespace", "networks", "local_cidrs", "advertised_cidrs", "node_interface", "bgp")
    assert [getattr(example, key) for key in kept] == [getattr(sample_spec, key) for key in kept]
    assert [gateway.node for gateway in example.gateways] == [gateway.node for gateway in sample_spec.gateways]
    remote, sample_remote = example.remotes[0], sample_spec.remotes[0]
    assert (remote.asn, remote.profile) == (sample_remote.asn, sample_remote.profile)
    assert [tunnel.inside for tunnel in remote.tunnels] == [tunnel.inside for tunnel in sample_remote.tunnels]


# What the sample got wrong: a remark on the line, a note, and then a finding


@pytest.mark.parametrize(
    ("policy", "line", "remark"),
    [
        ("gateway-address-in-node-range", "internalIP: 172.27.0.1", "not in the nodes' range 172.27.48.0/20"),
        ("gateway-address-in-node-range", "internalIP: 172.27.0.2", "not in the nodes' range 172.27.48.0/20"),
        ("gateway-address-public", "publicIP: 0.0.0.0", "unknown; write the address that the remote site sees"),
        ("accepted-cidrs-not-special", "acceptedCidrs: [0.0.0.0/0]", "the chart took everything"),
    ],
)
def test_the_check_points_at_the_lines_that_the_import_remarks_on(policy: str, line: str, remark: str) -> None:
    result = imported()
    lines = [line_of(result, finding) for finding in check(result) if finding.policy == policy]
    hit = [text for text in lines if line in text]
    assert hit, lines
    assert "# import: " in hit[0]
    assert remark in hit[0]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("internalIP 172.27.0.1 is not in the nodes' range 172.27.48.0/20", 'internalIP: "172.27.0.1"'),
        ("publicIP 34.34.34.34 is the chart's sample value", 'publicIP: "34.34.34.34"'),
        ("the chart used it as the peer's address", 'publicIP: "34.34.34.34"'),
        ("the chart named itself to the peer by the node's internal address", 'internalIP: "172.27.0.1"'),
        ("looks like the chart's sample value", "nodeName:"),
        ("stand here in plain text", "psk:"),
        ("the pre-shared key is the same as the one at values.yaml:19:8", "psk:"),
        ("the pre-shared key does not match what gcp-ha-vpn takes", "psk:"),
    ],
)
def test_what_is_wrong_is_noted_where_it_stands(words: str, line: str) -> None:
    note = says(imported(), NoteKind.WRONG, words)
    assert line in VALUES.read_text().splitlines()[note.location.line - 1]
    assert note.hint


@pytest.mark.parametrize(
    "words",
    [
        "the public address of gateway a is unknown",
        "the public address of gateway b is unknown",
        "the remote site has no name",
        "the kind of remote VPN gateway is unknown; gcp-ha-vpn is a guess",
        "takes whatever the peer announces",
        "the namespace is not in the values",
        "10.234.0.0/16 is only guessed to be the pods' range: its comment says so",
        "172.27.48.0/20 is only guessed to be the nodes' range: its comment says so",
        "10.233.0.0/16 is only guessed to be the services' range: its comment says so",
    ],
)
def test_what_the_chart_could_not_know_is_noted(words: str) -> None:
    assert says(imported(), NoteKind.UNKNOWN, words).hint


def test_every_setting_without_a_place_is_named_with_the_reason() -> None:
    dropped = noted(imported(), NoteKind.DROPPED)
    assert [note.message.split()[0] for note in dropped] == [
        "nameOverride",
        "fullnameOverride",
        "imagePullPolicy",
        "strongswan.image",
        "ipsecRoutes.image",
        "bgp.enabled",
        "bgp.frrImage",
        "bgp.internalClients",
    ]
    assert all(note.hint for note in dropped)


def test_an_address_for_documentation_is_no_peer() -> None:
    result = imported(sample_tunnel(publicIP="198.51.100.7"))
    says(result, NoteKind.WRONG, "publicIP 198.51.100.7 is an address for documentation")
    assert "peerAddress: 198.51.100.7 # import: an address for documentation" in text_of(result)


def test_a_peer_that_is_the_gateway_itself_is_found_out() -> None:
    options = ImportOptions(public_ips={"a": "34.34.34.34"})
    says(imported(options=options), NoteKind.WRONG, "publicIP 34.34.34.34 is a gateway's own public address")


# Flags tell what the chart could not


def test_with_all_flags_and_addresses_in_range_nothing_is_left_to_mend() -> None:
    values = sample()
    for number, tunnel in enumerate(values["tunnels"], 11):
        tunnel.update(internalIP=f"172.27.48.{number}", publicIP=f"45.0.0.{number}", nodeName=f"node-{number}")
    options, problems = import_options(
        remote_name="gcp-europe-west4",
        profile="gcp-ha-vpn",
        public_ip=["a=203.0.113.51", "b=203.0.113.52"],
        accept=["10.20.0.0/16,10.21.0.0/16"],
        namespace="vpn",
    )
    assert problems == []
    text = VALUES.read_text()
    for old, new in zip(sample()["tunnels"], values["tunnels"], strict=True):
        for key in ("internalIP", "publicIP", "nodeName"):
            text = text.replace(old[key], new[key])
    result = import_chart(document(text), "north", options)
    assert check(result) == []
    remarks = [line for line in text_of(result).splitlines() if "# import: " in line]
    assert [line.split(":")[0].strip() for line in remarks] == ["nodes", "pods", "services"]


def test_each_flag_that_cannot_be_used_is_named() -> None:
    _, problems = import_options("Site", "gpc", ["a", "b=1.2.3"], ["10.0.0.1/8"], "x y")
    assert [problem.split(":")[0] for problem in problems] == [
        "--public-ip",
        "--public-ip",
        "--accept",
        "--remote-name",
        "--profile",
        "--namespace",
    ]


def test_a_public_address_for_a_gateway_that_is_not_there_is_noted() -> None:
    note = says(imported(options=ImportOptions(public_ips={"c": "203.0.113.9"})), NoteKind.WRONG, "no gateway c")
    assert note.hint == "the gateways are: a, b"


@pytest.mark.parametrize(
    ("asn", "ends", "profile"),
    [
        (64514, ("169.254.10.2", "169.254.10.1"), "gcp-ha-vpn"),
        (65515, ("169.254.21.1", "169.254.21.2"), "azure-vpn"),
        (64514, ("10.9.0.1", "10.9.0.2"), "generic"),
        (3320, ("169.254.10.2", "169.254.10.1"), "generic"),
    ],
)
def test_the_profile_is_guessed_from_the_as_number_and_the_inside_addresses(
    asn: int, ends: tuple[str, str], profile: str
) -> None:
    values = sample(bgp={"peerASN": asn})
    for tunnel in values["tunnels"]:
        tunnel.update(localTunnelIP=ends[0], peerTunnelIP=ends[1])
    assert f"profile: {profile} # import: guessed" in text_of(imported(values))


# Which range is whose


def roles(local: str) -> dict[str, list[str]]:
    text = VALUES.read_text()
    before, _, rest = text.partition("localCidrs:\n")
    after = rest[rest.index("\ntunnels:") :]
    mended = after.replace("172.27.0.", "172.27.48.")
    result = import_chart(document(f"{before}localCidrs:\n{local}{mended}"), "north", NOTHING)
    networks: dict[str, list[str]] = yaml.safe_load(text_of(result))["spec"]["networks"]
    return networks


def test_without_comments_the_nodes_range_is_the_one_that_holds_the_gateways() -> None:
    found = roles("- 10.1.0.0/16 # pods\n- 172.27.48.0/20\n- 10.2.0.0/16 # svc CIDR\n")
    assert found == {"nodes": ["172.27.48.0/20"], "pods": ["10.1.0.0/16"], "services": ["10.2.0.0/16"]}


def test_the_one_range_left_over_has_the_one_role_left_over() -> None:
    found = roles("- 10.1.0.0/16\n- 172.27.48.0/20\n- 10.2.0.0/16 # svc CIDR\n")
    assert found == {"nodes": ["172.27.48.0/20"], "pods": ["10.1.0.0/16"], "services": ["10.2.0.0/16"]}


def test_a_comment_that_names_two_roles_tells_nothing() -> None:
    found = roles("- 10.1.0.0/16 # pods, not nodes\n- 172.27.48.0/20\n- 10.2.0.0/16\n")
    assert found == {"nodes": ["172.27.48.0/20"], "pods": ["0.0.0.0/32"], "services": ["0.0.0.0/32"]}


def test_a_role_that_cannot_be_told_is_a_range_that_the_check_points_at() -> None:
    result = imported(sample(localCidrs=["10.1.0.0/16", "10.2.0.0/16", "172.27.48.0/20"]))
    says(result, NoteKind.UNKNOWN, "which of localCidrs are the pods' ranges cannot be told")
    findings = [finding for finding in check(result) if finding.policy == "local-cidrs-not-special"]
    lines = [line_of(result, finding) for finding in findings]
    assert any("pods: [0.0.0.0/32] # import: unknown" in line for line in lines), lines


# Malformed and missing values


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (sample_tunnel(publicIP="34.34.34"), 'peerAddress: "34.34.34"'),
        (sample_tunnel(publicIP="2001:db8::1"), 'peerAddress: "2001:db8::1"'),
        (sample_tunnel(internalIP="172.27.48.999"), 'internalIP: "172.27.48.999"'),
        (sample_tunnel(localTunnelIP="here"), "local: here"),
        (sample(localCidrs=["10.234.0.0"]), "localCidrs: [10.234.0.0]"),
        (sample(networkInterface="a name too long for Linux"), 'nodeInterface: "a name too long for Linux"'),
        (sample(bgp={"localASN": "AS65010"}), "localASN: AS65010"),
        (sample(bgp={"localASN": 1.1}), 'localASN: "1.1"'),
    ],
)
def test_a_malformed_value_is_kept_and_pointed_at(values: dict[str, Any], key: str) -> None:
    result = imported(values)
    findings = check(result)
    assert {finding.policy for finding in findings} == {"inventory-valid"}
    assert key in " ".join(line_of(result, finding) for finding in findings)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("publicIP", "peerAddress: 0.0.0.0 # import: publicIP was missing"),
        ("internalIP", "internalIP: 0.0.0.0 # import: internalIP was missing"),
        ("nodeName", "node: UNKNOWN-a # import: nodeName was missing"),
        ("localTunnelIP", "local: 0.0.0.0 # import: localTunnelIP was missing"),
        ("peerTunnelIP", "peer: 0.0.0.0 # import: peerTunnelIP was missing"),
    ],
)
def test_a_missing_value_becomes_one_that_the_policies_refuse(key: str, line: str) -> None:
    result = imported(sample_tunnel(**{key: None}))
    says(result, NoteKind.UNKNOWN, f"{key} is missing")
    assert any(line in line_of(result, finding) for finding in check(result))


def test_ends_of_a_tunnel_in_two_ranges_are_pointed_at() -> None:
    result = imported(sample_tunnel(peerTunnelIP="169.254.174.225"))
    says(result, NoteKind.WRONG, "169.254.174.222 and 169.254.174.225 are not the two hosts of one /30")
    assert "inside-addresses-valid" in {finding.policy for finding in check(result)}


def test_a_node_with_two_internal_addresses_keeps_the_first() -> None:
    values = sample()
    values["tunnels"][1]["nodeName"] = values["tunnels"][0]["nodeName"]
    result = imported(values)
    says(result, NoteKind.WRONG, "has another internalIP here")
    says(result, NoteKind.WRONG, "the tunnels stand on 1 node")
    assert any("name: a # import: cluster.yaml needs two" in line_of(result, finding) for finding in check(result))


def test_a_misspelt_key_is_named_with_a_guess() -> None:
    note = says(imported(sample_tunnel(nodename="n")), NoteKind.DROPPED, "unknown key `nodename`")
    assert "did you mean `nodeName`?" in note.hint


@pytest.mark.parametrize(
    "values",
    [
        {"tunnels": {}},
        {"tunnels": "none"},
        {"tunnels": [1, None, []]},
        {"bgp": []},
        {"bgp": 5, "localCidrs": {"a": 1}},
        {"localCidrs": [[], {}, None, 5, True]},
        {"strongswan": "x", "ipsecRoutes": [], "tunnels": [{"psk": {"a": 1}, "publicIP": []}]},
        {"localCidrs": []},
    ],
)
def test_values_of_the_wrong_shape_still_give_a_file_that_can_be_checked(values: dict[str, Any]) -> None:
    result = imported(values)
    assert noted(result, NoteKind.WRONG) or noted(result, NoteKind.UNKNOWN)
    assert check(result)


@pytest.mark.parametrize("values", [["a"], "text", {"replicaCount": 1}])
def test_what_is_not_the_chart_is_refused(values: Any) -> None:
    result = imported(values)
    assert result.text is None
    assert "expected the chart's values" in result.notes[0].message
    assert keys_secret(document(yaml.safe_dump(values)), "north", NOTHING) is None


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\x85", "\u2028"])
def test_any_line_ending_will_do(ending: str) -> None:
    text = VALUES.read_text().replace("\n", ending)
    assert import_chart(document(text), "north", NOTHING).text == imported().text


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a: [", b"a: &x 1\nb: *x\n", b"a" * 2_000_000])
def test_a_file_that_cannot_be_read_is_a_finding(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_bytes(content)
    opened, findings = open_values(path)
    assert opened is None
    assert len(findings) == 1


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    assert "cannot be read" in open_values(tmp_path / "values.yaml")[1][0].message


def test_notes_name_the_file_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(VALUES.parent.parent)
    opened, findings = open_values(Path("data/chart-values.yaml"))
    assert opened is not None
    assert findings == []
    assert {note.location.file for note in import_chart(opened, "north", NOTHING).notes} == {"data/chart-values.yaml"}


# Keys


def test_no_key_is_in_the_file_or_in_the_notes() -> None:
    result = imported()
    assert KEY not in text_of(result)
    assert KEY not in repr(result)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("0sQUJDREVGR0hJSktMTU5PUFFSU1RVVg==", "begins with 0x or 0s"),
        ("abcdefghijklmnopqrst#uvwxyz", "characters that end it"),
        ("tooshort", "does not match what gcp-ha-vpn takes"),
    ],
)
def test_a_key_that_cannot_move_as_it_is_is_noted_without_showing_it(key: str, words: str) -> None:
    result = imported(sample_tunnel(psk=key))
    says(result, NoteKind.WRONG, words)
    assert key not in repr(result)


def test_a_missing_key_is_noted() -> None:
    result = imported(sample_tunnel(psk=None))
    says(result, NoteKind.UNKNOWN, "tunnels[0]: psk is missing")
    assert "key: north-remote-a} # import: psk was missing" in text_of(result)


def test_the_keys_go_into_a_secret_for_sops() -> None:
    secret = keys_secret(document(VALUES.read_text()), "north", ImportOptions(remote_name="site", namespace="vpn"))
    assert secret is not None
    assert yaml.safe_load(secret) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "ipsec-psk", "namespace": "vpn"},
        "type": "Opaque",
        "stringData": {"site-a": KEY, "site-b": KEY},
    }


@given(key=st.text(min_size=1))
def test_any_key_reaches_the_secret_as_it_is(key: str) -> None:
    values = document(yaml.safe_dump({"tunnels": [{"psk": key}]}))
    secret = keys_secret(values, "north", NOTHING)
    assert secret is not None
    read, findings = parse("secret.yaml", secret)
    assert read is not None
    assert findings == []
    assert read.data["stringData"] == {"north-remote-a": key}


def test_the_commands_that_move_the_keys_encrypt_them_and_show_nothing(tmp_path: Path) -> None:
    steps = noted(imported(), NoteKind.NEXT)
    assert ".sops.yaml" in steps[0].hint
    assert [note.message.split(";")[-1].strip() for note in steps[1:]] == [
        "this moves the old ones into an encrypted Secret, unseen",
        "this makes one, unseen",
    ]
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    stand_ins = {
        "tunnelfleet": 'echo "$*" > asked; echo "kind: Secret"',
        "sops": 'cat > "$5"; echo "$*" >> asked',
        "openssl": "echo 00ff",
    }
    for name, script in stand_ins.items():
        program = bin_folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    for note in steps[1:]:
        done = subprocess.run(
            ["sh", "-ec", note.hint], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "asked").read_text().splitlines()[0] == "import-chart values.yaml north --keys"
    folder = tmp_path / "clusters" / "north" / "secrets"
    assert (folder / "secret-ipsec-psk.yaml").read_text() == "kind: Secret\n"
    assert yaml.safe_load((folder / "secret-ipsec-bgp.yaml").read_text()) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "ipsec-bgp", "namespace": "ipsec-tunnel"},
        "stringData": {"password": "00ff"},
    }


# Anything at all

MARKER = "marker-of-a-key"
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
addresses = st.ip_addresses(v=4).map(str)
tunnel_like = st.fixed_dictionaries(
    {"psk": st.just(MARKER)},
    optional={
        "publicIP": addresses | anything,
        "internalIP": addresses | anything,
        "nodeName": st.sampled_from(["n1", "n2"]) | anything,
        "localTunnelIP": addresses | anything,
        "peerTunnelIP": addresses | anything,
        "other": anything,
    },
)
values_like = st.fixed_dictionaries(
    {"tunnels": st.lists(tunnel_like | anything, max_size=4) | anything},
    optional={
        "localCidrs": st.lists(st.ip_addresses(v=4).map(lambda address: f"{address}/24") | anything) | anything,
        "networkInterface": anything,
        "bgp": st.dictionaries(st.sampled_from(["localASN", "peerASN", "internalASN", "advertiseCidrs"]), anything)
        | anything,
        "strongswan": anything,
    },
)


@given(values=values_like)
def test_any_values_give_a_file_that_reads_and_never_show_a_key(values: dict[str, Any]) -> None:
    text = yaml.safe_dump(values)
    read, findings = parse("values.yaml", text)
    if read is None or findings:
        return
    result = import_chart(read, "north", NOTHING)
    assert result.text is not None
    written, problems = parse("cluster.yaml", result.text)
    assert written is not None, result.text
    assert problems == []
    assert list(written.data) == ["apiVersion", "kind", "metadata", "spec"]
    assert MARKER not in result.text
    assert MARKER not in repr(result.notes)
    assert all("\n" not in note.message for note in result.notes)
    check(result)
