"""One twin for all proofs: each finds it whole, and leaves it whole and without a packet in clear text."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.report.model import Node, Outcome, Site, Topology, Tunnel
from tests.lab.report.recorder import Recorder
from tests.lab.report.text import text
from tests.lab.twin import state
from tests.lab.twin.stage import Stage, load
from tests.lab.twin.traffic import Traffic
from tests.lab.twin.twin import Twin
from tests.lab.twin.waiting import until

_STAGE = Path(__file__).parents[3] / "stage.json"
_RESULTS = Path("/results")
_WHOLE = 180
"""Seconds until everything is as it should be: longer than any peer's hold time but Azure's."""
_RECORDER = pytest.StashKey[Recorder]()


@pytest.fixture(scope="session")
def stage() -> Stage:
    """What the twin is made from."""
    return load(_STAGE)


@pytest.fixture(scope="session")
def recorder(pytestconfig: pytest.Config) -> Recorder:
    """The report in the making."""
    return pytestconfig.stash[_RECORDER]


@pytest.fixture(scope="session")
def running(stage: Stage, recorder: Recorder) -> Iterator[Twin]:
    """The twin, for the whole session."""
    with Twin(stage, _RESULTS / "logs") as twin:
        recorder.topology(_topology(twin))
        yield twin


@pytest.fixture(scope="session")
def traffic(running: Twin) -> Iterator[Traffic]:
    """Whatever measures outages."""
    with Traffic() as traffic:
        yield traffic


@pytest.fixture
def twin(running: Twin) -> Iterator[Twin]:
    """The twin, whole before and after the proof; what an earlier one left broken is made anew."""
    try:
        whole(running)
    except AssertionError:
        for name in tuple(running.nodes):
            running.power_off(name)
            running.power_on(name)
        whole(running)
    before = running.fabric.clear_text().total()
    yield running
    whole(running)
    left = running.fabric.clear_text()
    assert left.total() == before, f"packets for or from a remote range left nodes in clear text: {dict(left)}"


def whole(twin: Twin) -> None:
    """Waits until everything is as it should be."""
    until("nothing wrong", lambda: state.problems(twin), lambda found: not found, ceiling=_WHOLE)


def pytest_configure(config: pytest.Config) -> None:
    """Begins the report."""
    cluster = load(_STAGE).cluster.name
    config.stash[_RECORDER] = Recorder(cluster, f"Linux {platform.release()}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Notes how each proof ended."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.when == "call" or report.outcome != "passed":
        name = (item.function.__doc__ or item.name).strip().rstrip(".")  # type: ignore[attr-defined]
        variant = item.callspec.id if hasattr(item, "callspec") else ""
        crash = getattr(report.longrepr, "reprcrash", None)
        reason = crash.message if crash else str(report.longrepr or "")
        item.config.stash[_RECORDER].proof(
            f"{name}: {variant}" if variant else name, Outcome(report.outcome), call.duration, reason
        )
    return report  # type: ignore[return-value]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Writes the report, and shows it."""
    recorder = config.stash[_RECORDER]
    recorder.write(_RESULTS)
    terminalreporter.write_line(text(recorder.report))


def _topology(twin: Twin) -> Topology:
    gateways = {f"node-{gateway.name}": gateway for gateway in twin.cluster.gateways}
    return Topology(
        sites=tuple(
            Site(
                name=remote.name,
                profile=remote.profile,
                asn=remote.asn,
                networks=twin.sites[remote.name].announced,
                host=twin.sites[remote.name].host_addresses[0],
                tunnels=tuple(
                    Tunnel(f"node-{tunnel.gateway}", tunnel.interface, tunnel.peer_address) for tunnel in remote.tunnels
                ),
            )
            for remote in twin.cluster.remotes
        ),
        nodes=tuple(
            Node(
                name=node.name,
                address=node.address,
                pod=twin.workloads[node.name.replace("node", "pod")].address,
                gateway=gateways[node.name].name if node.name in gateways else None,
                public=gateways[node.name].public_ip if node.name in gateways else None,
            )
            for node in twin.nodes.values()
        ),
    )
