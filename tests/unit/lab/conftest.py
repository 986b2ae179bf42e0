from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.lab.world import World, cable


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with cable() as made:
        yield made
