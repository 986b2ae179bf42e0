"""The profiles: complete, free of contradictions, and each override of the inventory takes effect."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Network
from typing import Any, get_args

import pytest

from tunnelfleet.inventory.model import Bfd, Overrides, ProfileName, Remote
from tunnelfleet.profiles import (
    LINK_LOCAL,
    PROFILES,
    RESERVED_INSIDE,
    TCP_IP_HEADERS,
    VXLAN_OVERHEAD,
    Profile,
    effective,
)

SMALLEST_PATH = 1460
"""Bytes that every path to a remote site carries: the MTU of Google's VPN gateways."""

each_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))


def remote(profile: ProfileName = "generic", **overrides: Any) -> Remote:
    tunnel = {
        "gateway": "a",
        "peerAddress": "198.51.100.34",
        "inside": {"local": "169.254.10.2", "peer": "169.254.10.1", "cidr": "169.254.10.0/30"},
        "presharedKey": {"secretName": "ipsec-psk", "key": "oslo-a"},
    }
    return Remote.model_validate(
        {
            "name": "oslo",
            "profile": profile,
            "asn": 64514,
            "acceptedCidrs": ["10.0.0.0/16"],
            "tunnels": [tunnel],
            "overrides": Overrides(**overrides),
        }
    )


def esp_payload(path: int, *, udp: bool) -> int:
    """Bytes of the largest IP packet that AES-GCM in ESP carries over a path."""
    ipv4, udp_header, spi_and_sequence, initialization_vector, check_value = 20, 8 if udp else 0, 8, 8, 16
    trailer = 2  # pad length and next header end on a boundary of 4 (RFC 4303, section 2.4)
    encrypted = path - ipv4 - udp_header - spi_and_sequence - initialization_vector - check_value
    return encrypted // 4 * 4 - trailer


class TestCompleteness:
    def test_there_is_a_profile_for_every_name_of_the_inventory(self) -> None:
        assert set(PROFILES) == set(get_args(ProfileName))
        assert all(profile.name == name for name, profile in PROFILES.items())

    @each_profile
    def test_every_value_has_one_source(self, profile: Profile) -> None:
        values = {one.name for one in dataclasses.fields(profile)} - {"name", "title", "sources"}
        assert set(profile.sources) == values
        assert all(len(source) > 15 and "://" not in source for source in profile.sources.values())


class TestCoherence:
    @each_profile
    def test_a_session_survives_two_lost_keepalives(self, profile: Profile) -> None:
        assert profile.hold >= 3 * profile.keepalive

    @each_profile
    def test_an_ike_sa_outlives_its_child_sas(self, profile: Profile) -> None:
        assert profile.esp_lifetime < profile.ike_lifetime

    @each_profile
    def test_proposals_are_authenticated_encryption_with_forward_secrecy(self, profile: Profile) -> None:
        assert all("gcm16" in one and "ecp" in one for one in profile.esp_proposals)
        assert all("gcm16" in one and "prf" in one and "ecp" in one for one in profile.ike_proposals)

    @each_profile
    def test_inside_ranges_are_link_local_and_some_remain(self, profile: Profile) -> None:
        assert all(allowed.subnet_of(LINK_LOCAL) for allowed in profile.inside_allowed)
        for refused in profile.inside_refused:
            assert any(refused.subnet_of(allowed) for allowed in profile.inside_allowed)
        unusable = (*profile.inside_refused, *RESERVED_INSIDE)
        assert not any(allowed.subnet_of(one) for allowed in profile.inside_allowed for one in unusable)

    @each_profile
    @pytest.mark.parametrize("field", ["remote_asns", "local_asns_refused"])
    def test_as_ranges_ascend_without_overlap(self, profile: Profile, field: str) -> None:
        numbers = [number for asns in getattr(profile, field) for number in (asns.first, asns.last)]
        assert numbers == sorted(numbers)
        assert all(asns.first <= asns.last for asns in getattr(profile, field))


class TestPacketSizes:
    def test_the_arithmetic_of_aes_gcm_in_esp(self) -> None:
        assert esp_payload(1460, udp=False) == 1406  # Google's documented payload MTU
        assert esp_payload(1460, udp=True) == 1398
        assert esp_payload(1500, udp=True) == 1438

    @each_profile
    def test_packets_fit_every_path_and_the_overlay(self, profile: Profile) -> None:
        assert profile.mtu <= esp_payload(SMALLEST_PATH, udp=True)
        assert profile.mtu <= 1500 - VXLAN_OVERHEAD

    @each_profile
    def test_the_segment_size_leaves_room_for_the_headers(self, profile: Profile) -> None:
        assert profile.mss == profile.mtu - TCP_IP_HEADERS

    def test_azure_clamps_at_1350(self) -> None:
        assert PROFILES["azure-vpn"].mss == 1350


class TestAsNumbers:
    @pytest.mark.parametrize(
        ("name", "asn", "possible"),
        [
            ("gcp-ha-vpn", 64512, True),
            ("gcp-ha-vpn", 4200000000, True),
            ("gcp-ha-vpn", 16550, False),  # Partner Interconnect's
            ("gcp-ha-vpn", 15169, False),
            ("aws-vpn", 64512, True),
            ("aws-vpn", 7224, True),  # gateways made before July 2018
            ("aws-vpn", 15169, False),
            ("azure-vpn", 65515, True),
            ("azure-vpn", 65516, False),
            ("azure-vpn", 8075, False),
            ("generic", 1, True),
            ("generic", 4294967294, True),
        ],
    )
    def test_what_the_site_can_have(self, name: ProfileName, asn: int, possible: bool) -> None:
        assert any(asn in asns for asns in PROFILES[name].remote_asns) is possible

    @pytest.mark.parametrize(
        ("name", "asn", "refused"),
        [
            ("gcp-ha-vpn", 65010, False),
            ("gcp-ha-vpn", 64496, False),
            ("aws-vpn", 65010, False),
            ("aws-vpn", 7224, True),
            ("azure-vpn", 65010, False),
            ("azure-vpn", 65515, True),
            ("azure-vpn", 65520, True),
            ("azure-vpn", 65521, False),
            ("azure-vpn", 12076, True),
            ("azure-vpn", 64511, True),
            ("azure-vpn", 65551, True),
        ],
    )
    def test_what_the_site_refuses_from_us(self, name: ProfileName, asn: int, refused: bool) -> None:
        assert any(asn in asns for asns in PROFILES[name].local_asns_refused) is refused


class TestKeys:
    @pytest.mark.parametrize(
        ("name", "key", "accepted"),
        [
            ("aws-vpn", "aB3._xyz", True),
            ("aws-vpn", "0B3._xyz", False),  # starts with 0
            ("aws-vpn", "aB3-_xyz", False),
            ("aws-vpn", "short.7", False),
            ("aws-vpn", "a" * 64, True),
            ("aws-vpn", "a" * 65, False),
            ("azure-vpn", 'a!"#$%&()*+,./:;<=>?@[]^_`{|}', True),
            ("azure-vpn", "a-b", False),
            ("azure-vpn", "a~b", False),
            ("azure-vpn", "a b", False),
            ("azure-vpn", "a" * 129, False),
            ("gcp-ha-vpn", "QJ5m0bq0yq2vV8+0m7cYkXn/1y5aZ3Ew", True),
            ("gcp-ha-vpn", "guessable", False),
            ("generic", "twenty characters, with spaces", False),
            ("generic", "twenty-characters-long", True),
        ],
    )
    def test_what_a_site_takes(self, name: ProfileName, key: str, accepted: bool) -> None:
        assert PROFILES[name].accepts_key(key) is accepted

    @each_profile
    def test_no_site_takes_what_a_configuration_line_would_end_at(self, profile: Profile) -> None:
        assert not profile.accepts_key("a" * 20 + "\n")


CHANGED: dict[str, tuple[Any, Any]] = {
    "ike_proposals": (["aes128gcm16-prfsha256-ecp256"], ("aes128gcm16-prfsha256-ecp256",)),
    "esp_proposals": (["aes128gcm16-ecp256", "aes128gcm16"], ("aes128gcm16-ecp256", "aes128gcm16")),
    "ike_lifetime": (14400, 14400),
    "esp_lifetime": (1800, 1800),
    "dpd_delay": (30, 30),
    "replay_window": (2048, 2048),
    "initiator": ("remote", "remote"),
    "keepalive": (20, 20),
    "hold": (60, 60),
    "bfd": (Bfd(interval=100, multiplier=3), Bfd(interval=100, multiplier=3)),
    "maximum_prefixes": (20000, 20000),
    "maximum_advertised": (50, 50),
    "inside_allowed": (
        ["169.254.21.0/24", "169.254.30.0/24"],
        (IPv4Network("169.254.21.0/24"), IPv4Network("169.254.30.0/24")),
    ),
    "mtu": (1280, 1280),
}
"""For each override, a value that no profile has and what it becomes."""


class TestOverrides:
    def test_every_override_is_tried_here(self) -> None:
        assert set(CHANGED) == set(Overrides.model_fields)

    @each_profile
    def test_without_overrides_the_profile_holds(self, profile: Profile) -> None:
        assert effective(remote(profile.name)) == profile

    @each_profile
    @pytest.mark.parametrize("field", CHANGED)
    def test_each_takes_effect_and_nothing_else_changes(self, profile: Profile, field: str) -> None:
        written, expected = CHANGED[field]
        changed = effective(remote(profile.name, **{field: written}))
        assert getattr(changed, field) == expected != getattr(profile, field)
        assert dataclasses.replace(changed, **{field: getattr(profile, field)}) == profile

    def test_bfd_can_be_switched_off(self) -> None:
        assert PROFILES["generic"].bfd is not None
        assert effective(remote("generic", bfd=False)).bfd is None

    def test_the_segment_size_follows_the_mtu(self) -> None:
        assert effective(remote(mtu=1438)).mss == 1398
