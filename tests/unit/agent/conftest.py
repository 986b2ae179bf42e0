"""Finds the agent where it lies, among the manifests that mount it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.agent.namespaces import node_network

ROUTES = Path(__file__).parents[3] / "base/routes"
if str(ROUTES) not in sys.path:
    sys.path.insert(0, str(ROUTES))


@pytest.fixture
def network() -> Iterator[None]:
    """The network of a node, with VXLAN and ss0."""
    yield from node_network()
