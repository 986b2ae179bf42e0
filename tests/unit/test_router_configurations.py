"""The routers' configurations of every overlay, taken by the daemons that will run them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemons import Charon, check_frr, running_charon
from tests.support.fleets import REPOSITORY
from tunnelfleet.generate.topology import PlannedGateway, Topology
from tunnelfleet.inventory.loading import cluster_folders, load

OVERLAYS = REPOSITORY / "overlays"
FRR = [
    path.relative_to(OVERLAYS).as_posix() for name in ("frr.conf", "reflector.conf") for path in OVERLAYS.rglob(name)
]
SECRETS = "/run/swanctl/secrets.conf"


def gateways() -> Iterator[tuple[str, PlannedGateway]]:
    for folder in cluster_folders(REPOSITORY):
        loaded = load(REPOSITORY, folder).loaded
        assert loaded is not None
        for gateway in Topology(loaded.cluster).gateways:
            yield f"{folder}/gateway-{gateway.name}/swanctl.conf", gateway


GATEWAYS = dict(gateways())


@pytest.fixture(scope="module")
def charon() -> Iterator[Charon]:
    with running_charon() as started:
        yield started


@pytest.mark.parametrize("path", sorted(FRR))
def test_vtysh_takes_the_frr_conf(path: str) -> None:
    verdict = check_frr((OVERLAYS / path).read_text())
    assert verdict.accepted, verdict.output


@pytest.mark.parametrize("path", sorted(FRR))
def test_vtysh_would_notice_a_wrong_line(path: str) -> None:
    assert not check_frr((OVERLAYS / path).read_text().replace("router bgp", "ruoter bgp", 1)).accepted


@pytest.mark.parametrize("path", GATEWAYS)
def test_charon_loads_the_swanctl_conf_with_each_tunnel(charon: Charon, path: str) -> None:
    text, gateway = (OVERLAYS / path).read_text(), GATEWAYS[path]
    assert f"include {SECRETS}\n" in text
    verdict = charon.load(text.replace(SECRETS, "secrets.conf"), files={"secrets.conf": secrets(gateway)})
    assert verdict.accepted, verdict.output
    assert charon.connections() == {tunnel.connection for tunnel in gateway.tunnels}


def secrets(gateway: PlannedGateway) -> str:
    """A secret for each connection, as a gateway writes them from mounted files."""
    entries = (f"  ike-{tunnel.connection} {{ secret = 0sdGVzdA== }}\n" for tunnel in gateway.tunnels)
    return "secrets {\n" + "".join(entries) + "}\n"


def test_there_is_something_to_check() -> None:
    assert len(FRR) >= 3 * len(cluster_folders(REPOSITORY))
    assert Path(OVERLAYS).is_dir()
