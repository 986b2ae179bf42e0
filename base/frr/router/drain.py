"""What container frr does before it is stopped: moves the traffic to the other gateways, then closes BGP.

Four steps: wait for this gateway's turn, so that never two gateways stop together; make the routes through this
gateway the last choice everywhere, while packets are still forwarded; wait until nobody uses them; take them back.
Container strongswan waits for the end of it before it closes IKE; see base/strongswan/stop.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from gateway import settings
from gateway.settings import Gateway

FOLDER = Path("/run/tunnelfleet")
DRAINING = FOLDER / "draining"
DRAINED = FOLDER / "drained"

_TURN_SECONDS = 10
"""What an earlier gateway needs to take its routes back, so that the next one sees them missing."""
_STEADY_SECONDS = 5
"""How long the other gateways' routes must have been there."""
_PATIENCE_SECONDS = 90
"""How long to wait for them at most."""
_MOVING_SECONDS = 3
"""What routers need to choose other routes (measured: no packet lost)."""

DEPREFER = (
    "configure terminal",
    "router bgp",
    "address-family ipv4 unicast",
    "neighbor REMOTES route-map TO-REMOTE-DRAINING out",
    "exit-address-family",
    # RFC 8326: marks all routes, to the node's FRR too, and announces them again
    "bgp graceful-shutdown",
)
WITHDRAW = ("configure terminal", "router bgp", "bgp shutdown")


def main() -> None:
    """Drains this gateway. Whatever goes wrong on the way, the container can be stopped then."""
    DRAINED.unlink(missing_ok=True)
    DRAINING.touch()
    try:
        gateway = settings.read()
        if carries(vtysh("show bgp ipv4 unicast summary established"), gateway):
            wait_for_turn(gateway)
            vtysh(*DEPREFER)
            time.sleep(_MOVING_SECONDS)
        vtysh(*WITHDRAW)
        time.sleep(1)
    finally:
        DRAINED.touch()


def vtysh(*commands: str) -> str:
    """What bgpd answers. Raises subprocess.SubprocessError where it does not."""
    arguments = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(["vtysh", "-d", "bgpd", *arguments], capture_output=True, text=True, timeout=5, check=True)
    return done.stdout


def carries(summary: str, gateway: Gateway) -> bool:
    """Whether a remote site is reached through this gateway, by bgpd's summary of established sessions."""
    peers = {str(tunnel.peer) for tunnel in gateway.tunnels}
    return not peers.isdisjoint(summary.split())


def wait_for_turn(gateway: Gateway) -> None:
    """Waits until another gateway can carry the traffic, or until patience ends."""
    time.sleep(gateway.turn * _TURN_SECONDS)
    steady = 0
    for _ in range(_PATIENCE_SECONDS):
        steady = steady + 1 if other_gateway_carries(gateway) else 0
        if steady > _STEADY_SECONDS:
            return
        time.sleep(1)


def other_gateway_carries(gateway: Gateway) -> bool:
    """Whether the node's route agent has a route through another gateway: by protocol number and metric."""
    command = ["ip", "route", "show", "proto", str(gateway.agent_protocol)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    return f"metric {gateway.backup_metric} " in done.stdout


if __name__ == "__main__":
    main()
