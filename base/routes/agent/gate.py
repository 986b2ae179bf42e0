"""What the agent has bgpd do: open and close BGP on a gateway, and help neighbors that wait for each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from . import frr

_RETRY = 0.3

log = logging.getLogger(__name__)


class Gate:
    """BGP of a gateway's node: open while the node can carry packets. bgpd starts closed."""

    def __init__(self, asn: int) -> None:
        self.asn = asn
        self._wanted = False
        self._told: bool | None = False
        self._changed = asyncio.Event()

    def want(self, is_open: bool) -> None:
        """Says what BGP should be; `run` sees to it."""
        self._wanted = is_open
        if self._wanted != self._told:
            self._changed.set()

    def restarted(self) -> None:
        """bgpd is new, or may be: whatever it was told is told again."""
        self._told = None
        self._changed.set()

    async def run(self) -> None:
        """Tells bgpd, again until it listens: while it reads its configuration it takes no other."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._told != self._wanted:
                wanted = self._wanted
                try:
                    await frr.set_open(self.asn, wanted)
                except (frr.CommandError, OSError, TimeoutError) as error:
                    log.debug("bgpd: %s", error)
                    await asyncio.sleep(_RETRY)
                else:
                    self._told = wanted
                    log.info("BGP is %s", "open" if wanted else "closed: this node cannot carry packets")

    async def unstick(self, neighbors: Iterable[str]) -> None:
        """Looks after neighbors whose session is not up."""
        for neighbor in neighbors:
            try:
                if await frr.unstick(self.asn, neighbor):
                    log.info("neighbor %s is made anew: it was waiting for its BFD session", neighbor)
            except (frr.CommandError, OSError, TimeoutError) as error:
                log.debug("bgpd: %s", error)
