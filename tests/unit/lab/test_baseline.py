"""The baseline's pure parts: what its agent makes of FRR's answers, and the prefixes that a benchmark announces."""

from __future__ import annotations

import json

import pytest

from tests.lab.baseline.agent import next_hops, replacing
from tests.lab.bench.outages import Blow, Row, more_specifics
from tests.lab.twin.outages import measure


def test_the_agent_takes_every_next_hop_whether_or_not_it_is_valid() -> None:
    paths = [
        {"valid": True, "bestpath": True, "nexthops": [{"ip": "172.27.48.12"}]},
        {"valid": False, "nexthops": [{"ip": "172.27.48.11"}]},
    ]

    found = next_hops(json.dumps({"routes": {"10.0.0.0/24": paths}}))

    assert found == {"10.0.0.0/24": ("172.27.48.11", "172.27.48.12")}


@pytest.mark.parametrize("shown", ["", "% bgpd is not running", "{}", "null"])
def test_an_empty_answer_means_no_routes_at_all(shown: str) -> None:
    assert next_hops(shown) == {}


def test_one_command_for_each_prefix() -> None:
    assert " ".join(replacing("10.0.0.0/24", ["172.27.48.11"])) == (
        "ip route replace 10.0.0.0/24 nexthop encap ip id 2 src 0.0.0.0 dst 172.27.48.11"
        " via 169.254.100.5 dev cilium_vxlan weight 1 onlink"
    )


def test_more_prefixes_lie_behind_what_the_site_announces_anyway() -> None:
    assert more_specifics("10.0.0.0/16", 2) == ("10.0.1.0/30", "10.0.1.4/30")
    assert len(set(more_specifics("10.0.0.0/16", 9_999))) == 9_999


def test_a_range_may_be_too_small_for_so_many() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/24 has 0 prefixes of length 30 to announce, not 1"):
        more_specifics("10.0.0.0/24", 1)


def test_a_row_reads_as_a_sentence() -> None:
    seen = measure([10_000_000, 20_000_000, 30_000_000], [11_000_000, 0, 31_000_000], 0, 1)
    row = Row("baseline", Blow.CHARON_KILLED, 1, "in", 0.0, 10.0, seen)

    assert str(row).startswith("baseline: charon killed, 1 routes, in: 10 ms, 1 of 3 packets lost")
    assert row.ended
