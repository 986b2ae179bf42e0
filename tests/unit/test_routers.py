"""Routers' configurations read back: what is written, whoever wrote it, and where."""

from __future__ import annotations

import json
from contextlib import suppress
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clusters import clusters, inventories
from tunnelfleet.generate.overlay import overlay_files
from tunnelfleet.generate.topology import Topology
from tunnelfleet.inventory.model import Cluster
from tunnelfleet.inventory.secrets import SecretFolder
from tunnelfleet.manifests.frr import Prefixes, parse_frr
from tunnelfleet.manifests.routers import Unreadable
from tunnelfleet.manifests.swanctl import Section, parse_swanctl
from tunnelfleet.policies.expected_bgp import agent_faults, node_router_faults, tunnel_router_faults
from tunnelfleet.policies.expected_ipsec import Deviation, connection_faults, settings_faults

NO_SECRETS = SecretFolder((), (), ())


def deviations(files: dict[str, str], cluster: Cluster) -> list[Deviation]:
    """Where the generated files of an overlay say something else than the inventory."""
    found: list[Deviation] = []
    for gateway in cluster.spec.gateways:
        folder = f"gateway-{gateway.name}"
        config = parse_swanctl(files[f"{folder}/swanctl.conf"])
        found += connection_faults(config, cluster, gateway)
        found += settings_faults(json.loads(files[f"{folder}/gateway.json"]), config, cluster, gateway)
        found += tunnel_router_faults(parse_frr(files[f"{folder}/frr.conf"]), cluster, gateway)
        found += node_router_faults(parse_frr(files[f"{folder}/reflector.conf"]), cluster, gateway)
        found += agent_faults(json.loads(files[f"{folder}/agent.json"]), cluster, gateway)
    found += node_router_faults(parse_frr(files["routes/frr.conf"]), cluster, None)
    return [*found, *agent_faults(json.loads(files["routes/agent.json"]), cluster, None)]


def overlay(cluster: Cluster) -> dict[str, str]:
    return overlay_files(Topology(cluster), NO_SECRETS)


class TestGenerated:
    @given(clusters())
    @settings(deadline=None)
    def test_what_is_generated_means_what_the_inventory_says(self, cluster: Cluster) -> None:
        assert deviations(overlay(cluster), cluster) == []

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("gateways", 0, "internalIP"), "172.16.0.99"),
            (("gateways", 0, "name"), "other"),
            (("bgp", "localASN"), 65099),
            (("bgp", "internalASN"), 65098),
            (("localCidrs",), ["172.19.0.0/16"]),
            (("networks", "nodes"), ["172.19.0.0/16"]),
            (("advertisedCidrs",), ["172.19.0.0/16"]),
            (("nodeInterface",), "ens9"),
            (("remotes", 0, "asn"), 64999),
            (("remotes", 0, "acceptedCidrs"), ["192.168.99.0/24"]),
            (("remotes", 0, "tunnels", 0, "peerAddress"), "192.0.2.9"),
            (("remotes", 0, "tunnels", 0, "inside", "local"), "169.254.99.2"),
            (("remotes", 0, "tunnels", 0, "inside", "peer"), "169.254.99.1"),
            (("remotes", 0, "tunnels", 0, "identities"), {"local": "other.example.net"}),
            (("remotes", 0, "tunnels", 0, "identities"), {"peer": "other.example.net"}),
            (("remotes", 0, "overrides"), {"ikeProposals": ["aes128-sha256-modp2048"]}),
            (("remotes", 0, "overrides"), {"espProposals": ["aes128-sha256"]}),
            (("remotes", 0, "overrides"), {"ikeLifetime": 3599}),
            (("remotes", 0, "overrides"), {"espLifetime": 599}),
            (("remotes", 0, "overrides"), {"dpdDelay": 61}),
            (("remotes", 0, "overrides"), {"replayWindow": 992 + 3104}),
            (("remotes", 0, "overrides"), {"keepalive": 21}),
            (("remotes", 0, "overrides"), {"hold": 201}),
            (("remotes", 0, "overrides"), {"bfd": {"interval": 49, "multiplier": 10}}),
            (("remotes", 0, "overrides"), {"maximumPrefixes": 5001}),
            (("remotes", 0, "overrides"), {"mtu": 9000}),
        ],
        ids=str,
    )
    @given(data=inventories())
    @settings(deadline=None, max_examples=10)
    def test_what_another_inventory_says_is_noticed(
        self, path: tuple[str | int, ...], value: object, data: dict[str, Any]
    ) -> None:
        files = overlay(Cluster.model_validate(data))
        holder: Any = data["spec"]
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value
        changed = Cluster.model_validate(data)
        if path == ("gateways", 0, "name"):
            # its files have another name too
            gateway = changed.spec.gateways[0]
            assert list(connection_faults(parse_swanctl(next(iter(swanctls(files)))), changed, gateway))
        else:
            assert deviations(files, changed)


def swanctls(files: dict[str, str]) -> list[str]:
    return [text for path, text in files.items() if path.endswith("swanctl.conf") and "version = 2" in text]


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(lambda name: name != "include")
VALUES = st.from_regex(r"[A-Za-z0-9./|-]{1,8}", fullmatch=True)
TREES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(NAMES, VALUES, max_size=3),
    lambda inner: st.dictionaries(NAMES, VALUES | inner, max_size=3),
    max_leaves=10,
)


def written(tree: dict[str, Any], draw: st.DataObject) -> str:
    """A tree as a person might write it: with quotes, comments, blank lines, braces wherever they may be."""
    parts = []
    for name, value in tree.items():
        noise = draw.draw(st.sampled_from(["", " ", "\n", "# a } comment {\n", "\t"]))
        if isinstance(value, dict):
            gap = draw.draw(st.sampled_from(["", " ", "\n"]))
            parts.append(f"{noise}{name}{gap}{{\n{written(value, draw)}}}\n")
        else:
            shown = draw.draw(st.sampled_from([value, f'"{value}"', f"{value} # = {{"]))
            parts.append(f"{noise}{name} = {shown}\n")
    return "".join(parts)


def plain(section: Section) -> dict[str, Any]:
    settings_here = {name: setting.value for name, setting in section.settings.items()}
    return settings_here | {name: plain(inner) for name, inner in section.sections.items()}


class TestSwanctl:
    @given(TREES, st.data())
    def test_however_it_is_written_it_is_read_back(self, tree: dict[str, Any], draw: st.DataObject) -> None:
        assert plain(parse_swanctl(written(tree, draw))) == tree

    @given(st.text(st.sampled_from('abc{}=#"\n \t\\:,'), max_size=60))
    def test_any_text_is_read_or_refused_with_its_line(self, text: str) -> None:
        with suppress(Unreadable):
            parse_swanctl(text)
            return
        with pytest.raises(Unreadable) as refused:
            parse_swanctl(text)
        assert 1 <= refused.value.line <= text.count("\n") + 1

    def test_every_statement_knows_its_line(self) -> None:
        config = parse_swanctl("a {\n\n  b = c # d\n  e {\n    f = 1\n  }\n}\ninclude /x/*.conf\n")
        assert (config.section("a").line, config.section("a").line_of("b")) == (1, 3)
        assert config.section("a").section("e").line_of("f") == 5
        assert [(include.value, include.line) for include in config.includes] == [("/x/*.conf", 8)]

    def test_a_value_may_have_spaces_quotes_and_signs(self) -> None:
        config = parse_swanctl('a = b c  d\ne = "f # } \\" g" h\ni = j = k {\n')
        assert plain(config) == {"a": "b c d", "e": 'f # } " g h', "i": "j = k {"}

    def test_the_last_of_equal_settings_counts_and_equal_sections_are_one(self) -> None:
        assert plain(parse_swanctl("a {\n b = 1\n}\na {\n b = 2\n c = 3\n}\n")) == {"a": {"b": "2", "c": "3"}}

    @pytest.mark.parametrize(
        ("text", "message", "line"),
        [
            ("a {\n", "section a is not closed", 1),
            ("a {\n}\n}\n", "a closing brace too many", 3),
            ("a\n", "`a` is neither a section nor a setting", 1),
            ("a : b {\n}\n", "`a` is neither a section nor a setting", 1),
            ('x = 1\na = "b\n', "a quote is not closed", 2),
            ("= b\n", "a `=` where a name is expected", 1),
        ],
    )
    def test_what_is_no_configuration_is_refused(self, text: str, message: str, line: int) -> None:
        with pytest.raises(Unreadable) as refused:
            parse_swanctl(text)
        assert (refused.value.message, refused.value.line) == (message, line)


FRR = """\
! a comment
ip prefix-list A seq 10 permit 10.0.0.0/8 ge 16 le 24
ip prefix-list A seq 5 deny any
ip prefix-list A description no rule
ip prefix-list B permit 10.1.0.0/16
ip prefix-list B permit 10.2.0.0/16 le 32
route-map M permit 20
 match ip address prefix-list A
 match ip next-hop prefix-list B
 set as-path exclude 65020 65021
 set community no-advertise additive
exit
route-map M deny 10
 match community X
 on-match next
router bgp 65010
 no bgp default ipv4-unicast
 neighbor G peer-group
 neighbor G remote-as 64514
 neighbor 192.0.2.1 peer-group G
 neighbor 192.0.2.1 timers 3 9
 neighbor 192.0.2.1 timers connect 2
 neighbor 192.0.2.1 bfd profile P
 neighbor 192.0.2.2 remote-as 64515
 bgp listen range 172.16.0.0/20 peer-group G
 bmp targets T
  bmp listener 127.0.0.1 port 1
 exit
 address-family ipv4 unicast
  network 10.130.0.0/16
  redistribute kernel
  neighbor G activate
  neighbor G route-map M in
  neighbor 192.0.2.1 route-map N in
  neighbor 192.0.2.1 maximum-prefix 1000 80 restart 5
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8::/32
  neighbor 192.0.2.2 activate
 exit-address-family
exit
bfd
 profile P
  receive-interval 300
 exit
exit
"""


class TestFrr:
    config = parse_frr(FRR)

    def test_prefix_lists_in_the_order_in_which_they_are_tried(self) -> None:
        assert [(rule.permit, str(rule.prefixes), rule.line) for rule in self.config.rules("A")] == [
            (False, "0.0.0.0/0 le 32", 3),
            (True, "10.0.0.0/8 ge 16 le 24", 2),
        ]
        assert [(rule.sequence, str(rule.prefixes)) for rule in self.config.rules("B")] == [
            (5, "10.1.0.0/16"),
            (10, "10.2.0.0/16 le 32"),
        ]

    def test_route_maps_in_the_order_in_which_they_are_tried(self) -> None:
        deny, permit = self.config.entries("M")
        assert (deny.permit, deny.sequence, deny.line) == (False, 10, 13)
        assert deny.matches["community"].text == "X"
        assert deny.goes_on is not None
        assert permit.matches["ip address prefix-list"].text == "A"
        assert permit.matches["ip next-hop prefix-list"].text == "B"
        assert permit.sets["as-path exclude"].text == "65020 65021"
        assert permit.sets["community"].text == "no-advertise additive"

    def test_neighbours_have_what_their_group_has_but_for_their_own(self) -> None:
        (bgp,) = self.config.routers
        neighbor = bgp.neighbors["192.0.2.1"]

        def text(name: str) -> str | None:
            setting = bgp.setting(neighbor, name)
            return setting.text if setting else None

        assert (text("remote-as"), text("route-map in"), text("timers")) == ("64514", "N", "3 9")
        assert (text("bfd"), text("maximum-prefix")) == ("P", "1000 80 restart 5")
        assert bgp.groups == {"G"}
        assert [(word.text, group) for word, group in bgp.listens] == [("172.16.0.0/20", "G")]

    def test_what_is_announced_for_ipv4(self) -> None:
        (bgp,) = self.config.routers
        assert [word.text for word in bgp.networks] == ["10.130.0.0/16"]
        assert [word.text for word in bgp.others] == ["redistribute kernel", "address-family ipv6 unicast"]

    def test_who_gets_routes(self) -> None:
        (bgp,) = self.config.routers
        assert {name: bgp.is_active(bgp.neighbors[name]) for name in ("192.0.2.1", "192.0.2.2")} == {
            "192.0.2.1": True,
            "192.0.2.2": False,
        }

    def test_bfd(self) -> None:
        assert self.config.bfd_profiles["P"]["receive-interval"].text == "300"

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("no neighbor 192.0.2.1", "`no neighbor 192.0.2.1` takes back what stands elsewhere"),
            ("ip prefix-list A permit 10.0.0.0/33", "`10.0.0.0/33` is not an IPv4 prefix"),
            ("ip prefix-list A seq x permit 10.0.0.0/8", "expected numbers after seq, ge and le"),
            ("ip prefix-list A 10.0.0.0/8", "expected `ip prefix-list NAME [seq N] permit|deny PREFIX [ge N] [le N]`"),
            ("route-map A", "expected `route-map NAME permit|deny SEQUENCE`"),
        ],
    )
    def test_what_cannot_be_understood_is_refused_with_its_line(self, line: str, message: str) -> None:
        with pytest.raises(Unreadable) as refused:
            parse_frr(f"!\n{line}\n")
        assert (refused.value.message, refused.value.line) == (message, 2)


PREFIXES = st.builds(
    lambda address, length, more, most: Prefixes(
        IPv4Network((address, length), strict=False), min(32, length + more), min(32, length + more + most)
    ),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
    st.integers(0, 8),
    st.integers(0, 8),
)


@st.composite
def parts(draw: st.DrawFn, prefixes: Prefixes) -> IPv4Network:
    """One prefix of those."""
    length = draw(st.integers(prefixes.shortest, prefixes.longest))
    offset = draw(st.integers(0, prefixes.network.num_addresses - 1))
    return IPv4Network((int(prefixes.network.network_address) + offset, length), strict=False)


def holds(prefixes: Prefixes, part: IPv4Network) -> bool:
    return prefixes.shortest <= part.prefixlen <= prefixes.longest and part.subnet_of(prefixes.network)


class TestPrefixes:
    @given(PREFIXES, PREFIXES, st.data())
    def test_what_is_covered_holds_nothing_else(self, one: Prefixes, other: Prefixes, draw: st.DataObject) -> None:
        part = draw.draw(parts(other))
        if one.covers(other):
            assert holds(one, part)
        if holds(one, part):
            assert one.touches(other)
            assert other.touches(one)

    @given(PREFIXES)
    def test_all_cover_themselves(self, prefixes: Prefixes) -> None:
        assert prefixes.covers(prefixes)
        assert prefixes.touches(prefixes)
