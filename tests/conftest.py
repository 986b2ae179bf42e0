"""What holds for every test: a ceiling on its time, and what to do in a repository without the example fleet."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.fleets import REPOSITORY

SECONDS_AT_MOST = 300
EXAMPLES = ("iceland-gcp", "iceland-hybrid", "iceland-migrated", "texas-azure", "virginia-aws")

# How fast a machine makes its examples is no property of the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _ends_some_day() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TimeoutError(f"the test ran for more than {SECONDS_AT_MOST} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS_AT_MOST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    present = sorted(path.name for path in (REPOSITORY / "clusters").iterdir() if not path.name.startswith("."))
    if present == sorted(EXAMPLES):
        return
    reason = f"NOT TESTED: it needs the example fleet as it was published, and clusters/ holds {', '.join(present)}"
    for item in items:
        if item.get_closest_marker("examples"):
            item.add_marker(pytest.mark.skip(reason=reason))
