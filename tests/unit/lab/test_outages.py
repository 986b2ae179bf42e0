"""The arithmetic of outages: what was sent and what arrived gives runs of loss, in packets and milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.twin.outages import LATE_MS, Measured, measure

BEAT = 10_000_000
START = 1_700_000_000
LATE = round(LATE_MS * 1e6) + 1


def seen(arrivals: str, *, sent: Sequence[int] | None = None) -> Measured:
    """Measures packets sent each 10 ms: `.` arrived, `x` was lost, `l` came late."""
    times = [START * 10**9 + BEAT * number for number in range(len(arrivals))] if sent is None else sent
    took = {".": 1_000_000, "l": LATE}
    arrived = [time + took[fate] if fate in took else 0 for time, fate in zip(times, arrivals, strict=True)]
    return measure(times, arrived, START, times[-1] / 1e9 + 0.01 if times else START)


def test_nothing_lost() -> None:
    measured = seen("." * 50)
    assert (measured.outages, measured.lost, measured.stalled) == ((), 0, 0)
    assert str(measured) == "0 ms, 0 of 50 packets lost"


def test_one_run() -> None:
    (outage,) = seen("...xxxx...").outages
    assert outage.start == pytest.approx(START + 0.03, abs=1e-6)
    assert outage.milliseconds == pytest.approx(40)
    assert (outage.lost, outage.late, outage.ended, outage.stalled) == (4, 0, True, 0)


def test_each_run_counts_for_itself() -> None:
    measured = seen("..xx.xxx..")
    assert [outage.lost for outage in measured.outages] == [2, 3]
    assert measured.milliseconds == pytest.approx(50)
    assert measured.longest == pytest.approx(30)
    assert str(measured) == "50 ms, 5 of 10 packets lost in 2 runs, the longest 30 ms"


def test_an_outage_that_has_not_ended_lasts_until_the_window_ends() -> None:
    measured = seen("...xx")
    (outage,) = measured.outages
    assert outage.milliseconds == pytest.approx(20, abs=0.01)
    assert not outage.ended
    assert str(measured).endswith(", not ended")


def test_packets_that_a_queue_held_back_belong_to_the_outage() -> None:
    measured = seen("..xxlll...")
    assert [(outage.lost, outage.late) for outage in measured.outages] == [(2, 3)]
    assert measured.milliseconds == pytest.approx(50)
    assert (measured.lost, measured.late) == (2, 3)
    assert measured.slowest == pytest.approx(LATE / 1e6)


def test_a_sender_that_stood_still_is_told() -> None:
    first = [START * 10**9 + BEAT * number for number in range(5)]
    pause = [first[-1] + 200_000_000 + BEAT * number for number in range(5)]
    measured = seen("...xxxx...", sent=[*first, *pause])
    assert measured.stalled == pytest.approx(200)
    assert measured.outages[0].stalled == pytest.approx(200)
    assert str(measured).endswith("; sender stalled 200 ms")
    assert seen("..........", sent=[*first, *pause]).stalled == pytest.approx(200), "an outage may have gone unseen"


def test_a_stall_elsewhere_leaves_an_outage_exact() -> None:
    first = [START * 10**9 + BEAT * number for number in range(5)]
    pause = [first[-1] + 200_000_000 + BEAT * number for number in range(5)]
    measured = seen("......xx..", sent=[*first, *pause])
    assert measured.stalled == pytest.approx(200)
    assert measured.outages[0].stalled == 0


def test_no_packet_in_the_window_is_no_good_news() -> None:
    assert str(measure([], [], START, START + 1)) == "nothing was sent"
    assert measure([], [], START, START + 1).stalled == pytest.approx(1000)


FATES = st.text(alphabet=".xl", min_size=1, max_size=200)


@given(FATES)
def test_outages_account_for_every_packet(fates: str) -> None:
    measured = seen(fates)
    assert sum(outage.lost for outage in measured.outages) == fates.count("x") == measured.lost
    assert sum(outage.late for outage in measured.outages) == fates.count("l") == measured.late
    assert len(measured.outages) == len(fates.replace("x", "l").replace(".", " ").split())
    assert measured.milliseconds == pytest.approx(10 * (len(fates) - fates.count(".")), abs=0.01)


@given(FATES, st.integers(min_value=0, max_value=200))
def test_two_windows_lose_what_one_loses(fates: str, cut: int) -> None:
    times = [START * 10**9 + BEAT * number for number in range(len(fates))]
    arrived = [time + 1 if fate == "." else 0 for time, fate in zip(times, fates, strict=True)]
    middle, end = START + 0.01 * min(cut, len(fates)), START + 0.01 * len(fates)
    whole = measure(times, arrived, START, end)
    parts = [measure(times, arrived, START, middle), measure(times, arrived, middle, end)]
    assert sum(part.lost for part in parts) == whole.lost
    assert sum(part.milliseconds for part in parts) == pytest.approx(whole.milliseconds, abs=0.01)
