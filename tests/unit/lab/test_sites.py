"""What remote sites are configured with, and how they are asked."""

from __future__ import annotations

import base64
import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.twin.sites import bgp, ike, router, vici
from tests.lab.twin.sites.announcing import Announcements, Attributes, Group
from tests.lab.twin.sites.clouds import behaviour
from tests.lab.twin.sites.links import links
from tests.lab.twin.sites.site import _first, _host_address
from tests.lab.twin.stage import Bfd, Cluster, Gateway, Remote, Tunnel
from tunnelfleet.profiles import PROFILES


def tunnel(gateway: str, number: int) -> Tunnel:
    return Tunnel(
        gateway=gateway,
        connection=f"site-ipsec{number}",
        interface="ipsec0",
        peer_address=f"198.51.100.{number}",
        local_identity=f"203.0.113.{11 if gateway == 'a' else 12}",
        peer_identity=f"198.51.100.{number}",
        inside_local=f"169.254.10.{4 * number + 2}",
        inside_peer=f"169.254.10.{4 * number + 1}",
        inside_cidr=f"169.254.10.{4 * number}/30",
        key=f'key {number} # "}}',
    )


A, B = tunnel("a", 1), tunnel("b", 2)


def remote(profile: str) -> Remote:
    ours = PROFILES[profile]  # type: ignore[index]
    return Remote(
        name="site",
        profile=profile,
        asn=64514,
        accepted_cidrs=("10.0.0.0/16",),
        tunnels=(A, B),
        bgp_password=None,
        ike_proposals=ours.ike_proposals,
        esp_proposals=ours.esp_proposals,
        initiator=ours.initiator,
        keepalive=ours.keepalive,
        hold=ours.hold,
        bfd=Bfd(ours.bfd.interval, ours.bfd.multiplier) if ours.bfd else None,
        mtu=ours.mtu,
    )


CLUSTER = Cluster(
    name="prod",
    namespace="ipsec-tunnel",
    node_interface="ens3",
    nodes=("172.27.0.0/20",),
    pods=("10.130.0.0/16",),
    services=("10.131.0.0/16",),
    advertised=("172.27.0.0/20",),
    local_asn=65011,
    internal_asn=65020,
    gateways=(
        Gateway("a", "node-1", "172.27.0.11", "203.0.113.11"),
        Gateway("b", "node-2", "172.27.0.12", "203.0.113.12"),
    ),
    remotes=(remote("generic"),),
)
LINKS = links(CLUSTER.remotes[0], CLUSTER)


def configured(site: Remote, groups: Sequence[Group] = (), draining: Sequence[Tunnel] = ()) -> str:
    return bgp.configuration(site, behaviour(site), LINKS, groups, draining)


def session(text: str, name: str) -> str:
    found = re.search(rf"protocol bgp {name} \{{\n.*?\n\}}\n", text, re.S)
    assert found
    return found[0]


@pytest.mark.parametrize("name", list(PROFILES))
def test_a_site_takes_what_the_profile_proposes(name: str) -> None:
    ours, cloud = PROFILES[name], behaviour(remote(name))  # type: ignore[index]
    assert set(ours.ike_proposals) <= set(cloud.ike_proposals)
    assert set(ours.esp_proposals) <= set(cloud.esp_proposals)


@pytest.mark.parametrize("name", list(PROFILES))
def test_a_site_agrees_to_the_profiles_hold_time(name: str) -> None:
    ours, cloud = PROFILES[name], behaviour(remote(name))  # type: ignore[index]
    assert cloud.minimum_hold <= min(ours.hold, cloud.hold)


@pytest.mark.parametrize("name", list(PROFILES))
def test_a_site_takes_as_many_prefixes_as_the_profile_lets_us_announce(name: str) -> None:
    assert behaviour(remote(name)).maximum_prefixes == PROFILES[name].maximum_advertised  # type: ignore[index]


@pytest.mark.parametrize("name", list(PROFILES))
def test_only_a_site_that_starts_ike_itself_lets_us_wait(name: str) -> None:
    assert PROFILES[name].initiator == "local" or behaviour(remote(name)).initiates  # type: ignore[index]


def test_an_unknown_profile_has_no_behaviour() -> None:
    with pytest.raises(KeyError):
        behaviour(replace(remote("generic"), profile="other"))


def test_a_responder_never_starts_ike_and_deletes_idle_associations() -> None:
    text = ike.connections(LINKS, behaviour(remote("aws-vpn")))
    assert (
        text.count("start_action = none") == text.count("close_action = none") == text.count("dpd_action = clear") == 2
    )
    assert text.count("inactivity = 30s") == 2
    assert "trap" not in text


def test_identities_are_both_sides_public_addresses() -> None:
    text = ike.connections(LINKS, behaviour(remote("gcp-ha-vpn")))
    first = text[: text.index("ipsec1")]
    assert "local_addrs = 198.51.100.1\n    remote_addrs = 203.0.113.11\n" in first
    assert 'local {\n      auth = psk\n      id = "198.51.100.1"' in first
    assert 'remote {\n      auth = psk\n      id = "203.0.113.11"' in first


def test_a_key_may_hold_any_character() -> None:
    text = ike.secrets(LINKS, {A: A.key, B: "other"})
    keys = [base64.b64decode(key).decode() for key in re.findall(r"secret = 0s(\S+)", text)]
    assert keys == [A.key, "other"]


def test_amazon_gives_up_a_silent_peer_after_40_seconds() -> None:
    cloud = behaviour(remote("aws-vpn"))
    requests = cloud.retransmission
    assert requests.base == 1.0
    assert cloud.dpd_delay + requests.timeout * (requests.tries + 1) == 40


def test_azure_waits_for_the_gateways_and_refuses_shorter_timers() -> None:
    text = session(configured(remote("azure-vpn")), "ipsec0")
    assert "passive yes;" in text
    assert "hold time 180;\n  min hold time 180;" in text


def test_bfd_and_password_as_the_inventory_says() -> None:
    site = replace(remote("generic"), bfd=Bfd(100, 4), bgp_password="secret word")
    text = configured(site)
    assert "interval 100 ms; multiplier 4;" in text
    assert 'authentication md5;\n  password "secret word";\n' in session(text, "ipsec0")
    assert "bfd on;" in session(text, "ipsec1")
    plain = configured(remote("gcp-ha-vpn"))
    assert "bfd" not in plain
    assert "password" not in plain


def test_a_password_that_bird_cannot_take_is_refused() -> None:
    with pytest.raises(ValueError, match="BIRD cannot take it"):
        configured(replace(remote("generic"), bgp_password='a"b'))


def test_prefixes_are_announced_through_the_tunnels_and_with_the_attributes_asked_for() -> None:
    announcements = Announcements()
    announcements.add(["10.0.0.0/24", "10.0.1.0/24"], [A, B], Attributes(med=100))
    announcements.add(["10.0.1.0/24"], [A], Attributes(med=7, communities=((64999, 5),), prepend=1))
    text = configured(remote("generic"), announcements.groups())
    assert "protocol static announced0 {\nipv4;\nroute 10.0.0.0/24 blackhole;\n}" in text
    assert "protocol static announced1 {\nipv4;\nroute 10.0.1.0/24 blackhole;\n}" in text
    actions = "bgp_community.add((64999, 5)); bgp_path.prepend(64514); bgp_med = 7; accept;"
    assert f'if proto = "announced1" then {{ {actions} }}' in session(text, "ipsec0")
    assert 'if proto = "announced1" then { bgp_med = 100; accept; }' in session(text, "ipsec1")


def test_a_prefix_withdrawn_from_one_tunnel_is_still_announced_through_the_other() -> None:
    announcements = Announcements()
    announcements.add(["10.0.0.0/24"], [A, B], Attributes())
    announcements.remove(["10.0.0.0/24", "10.9.9.0/24"], [A])
    (group,) = announcements.groups()
    assert (group.prefixes, set(group.ways)) == (["10.0.0.0/24"], {B})
    announcements.remove(["10.0.0.0/24"], [B])
    assert announcements.groups() == ()


def test_a_group_keeps_its_number_whatever_becomes_of_the_others() -> None:
    announcements = Announcements()
    announcements.add(["10.0.0.0/24"], [A, B], Attributes())
    announcements.add(["10.0.1.0/24"], [A], Attributes())
    (number,) = (group.number for group in announcements.groups() if group.prefixes == ["10.0.1.0/24"])
    announcements.remove(["10.0.0.0/24"], [A, B])
    assert [group.number for group in announcements.groups()] == [number]


def test_a_tunnel_that_drains_is_announced_so_and_not_preferred() -> None:
    announcements = Announcements()
    announcements.add(["10.0.0.0/24"], [A, B], Attributes())
    text = configured(remote("gcp-ha-vpn"), announcements.groups(), [A])
    draining, other = session(text, "ipsec0"), session(text, "ipsec1")
    assert "bgp_community.add((65535, 0)); accept;" in draining
    assert "import filter { bgp_local_pref = 0; accept; }" in draining
    assert "65535" not in other
    assert "bgp_local_pref" not in other


def test_only_a_site_of_ones_own_honours_graceful_shutdown() -> None:
    honouring = [name for name in PROFILES if "(65535, 0) ~ bgp_community" in configured(remote(name))]
    assert honouring == ["generic"]


def test_the_host_is_in_the_first_24_of_a_range() -> None:
    assert str(_first("192.168.40.0/22")) == "192.168.40.0/24"
    assert _host_address(_first("192.168.40.0/22")) == "192.168.40.10"
    assert _host_address(_first("10.1.2.4/30")) == "10.1.2.7"


PROTOCOLS = """\
Name       Proto      Table      State  Since         Info
device1    Device     ---        up     03:28:10.955
announced0 Static     master4    up     03:28:10.955
ipsec0     BGP        ---        up     03:28:11.498  Established
ipsec1     BGP        ---        start  03:28:11.498  Active        Socket: Connection refused
ipsec2     BGP        ---        down   03:28:11.498
"""


def test_the_states_of_bgp_sessions() -> None:
    found = router.sessions(PROTOCOLS.splitlines())
    assert found == {"ipsec0": "Established", "ipsec1": "Active", "ipsec2": "Down"}


BFD = """\
bfd1:
IP address                Interface  State      Since         Interval  Timeout
169.254.60.6              ipsec1     Up         03:57:25.370    0.100    0.300
169.254.60.2              ipsec0     Down       03:57:25.219    1.000    0.000
"""


def test_the_states_of_bfd_sessions() -> None:
    assert router.bfd_sessions(BFD.splitlines()) == {"ipsec0": "Down", "ipsec1": "Up"}


LEARNT = """\
Table learnt:
172.27.32.0/20       unicast [ipsec0 03:57:26.401] * (100) [AS65014i]
\tvia 169.254.60.2 on ipsec0
\tType: BGP univ
\tBGP.origin: IGP
\tBGP.as_path: 65014
\tBGP.next_hop: 169.254.60.2
\tBGP.med: 100
\tBGP.local_pref: 100
                     unicast [ipsec1 03:57:26.496] (100) [AS65014i]
\tvia 169.254.60.6 on ipsec1
\tType: BGP univ
\tBGP.as_path: 65014 65014
\tBGP.community: (65535,0) (64999,5)
10.132.0.0/16        unicast [ipsec0 03:57:26.401] * (100) [AS65014i]
\tBGP.as_path: 65014
"""


def test_what_the_cluster_announces_through_each_session() -> None:
    assert list(router.learnt(LEARNT.splitlines())) == [
        router.Learnt("172.27.32.0/20", "ipsec0", (65014,), 100, frozenset()),
        router.Learnt("172.27.32.0/20", "ipsec1", (65014, 65014), None, frozenset({"65535:0", "64999:5"})),
        router.Learnt("10.132.0.0/16", "ipsec0", (65014,), None, frozenset()),
    ]


class Answering:
    """A control socket that answers one question, or as many packets as charon would send."""

    def __init__(self, path: Path, *replies: bytes) -> None:
        self.path = path
        self.heard = b""
        self._replies = replies
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        connection, _ = self._listening.accept()
        with connection, self._listening:
            connection.settimeout(10)
            for reply in self._replies:
                connection.sendall(reply)
            while chunk := connection.recv(4096):
                self.heard += chunk

    def join(self) -> bytes:
        self._thread.join(10)
        return self.heard


def test_birds_answer_ends_with_a_code_and_a_space(tmp_path: Path) -> None:
    answer = b"0001 BIRD 2.17.5 ready.\n2002-Name  Proto\n1002-device1  Device\n ipsec0  BGP\n0000 \n"
    control = Answering(tmp_path / "control", answer)
    assert router.ask(control.path, "show protocols") == ["Name  Proto", "device1  Device", "ipsec0  BGP", ""]
    assert control.join() == b"show protocols\n"


def test_what_bird_refuses_is_an_error(tmp_path: Path) -> None:
    control = Answering(tmp_path / "control", b"0001 BIRD ready.\n0002-Reading configuration\n8002 bird.conf:3 no\n")
    with pytest.raises(router.RouterError, match=r"^BIRD, configure: bird\.conf:3 no$"):
        router.ask(control.path, "configure")
    control.join()


def test_no_bird_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(router.RouterError, match="show status"):
        router.ask(tmp_path / "control", "show status")


def packet(kind: int, content: bytes = b"") -> bytes:
    return (len(content) + 1).to_bytes(4) + bytes([kind]) + content


ESTABLISHED = b"\x03\x05state\x00\x0bESTABLISHED"
INSTALLED = b"\x03\x05state\x00\x09INSTALLED"


@pytest.mark.parametrize(
    ("events", "carries"),
    [
        ([], False),
        ([b"\x03\x05state\x00\x0bESTABLISHED"], False),
        ([b"\x03\x05state\x00\x0bESTABLISHED" + INSTALLED], True),
    ],
)
def test_a_tunnel_carries_traffic_with_an_installed_association(
    tmp_path: Path, events: list[bytes], carries: bool
) -> None:
    sent = [packet(7, b"\x07list-sa" + event) for event in events]
    charon = Answering(tmp_path / "vici", packet(5), *sent, packet(1))
    assert vici.installed(charon.path, "ipsec0") is carries
    assert b"\x03\x03ike\x00\x06ipsec0" in charon.join()


def test_no_charon_carries_no_traffic(tmp_path: Path) -> None:
    assert not vici.installed(tmp_path / "vici", "ipsec0")
