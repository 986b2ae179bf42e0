"""Process 1 of container strongswan: owns network namespace `strongswan` and keeps charon running.

Container frr gets the namespace from here; see gateway/handover.py. Where this container comes back while frr still
holds the namespace, it takes it back, so that BGP lives on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time

from gateway import charon, handover, namespace, settings, tunnels, vici

_COMPARE_SECONDS = 5.0
"""How often tunnels and interfaces are compared, besides on each event of charon."""
_SETTLING_SECONDS = 15.0
"""How long charon may take after its start to bring the tunnels up, until a missing one counts as down."""
_AGAIN_SECONDS = 5.0
"""Between two starts of a tunnel: a peer that refuses is not asked without end."""
_REMOVAL_SECONDS = 20.0
"""How long the kernel may take to remove a namespace that nobody holds any more."""
_PAUSE_SECONDS = (0.05, 5.0)
"""Between two starts of charon: the first, and the most that doubling makes of it."""

log = logging.getLogger("gateway")


class Keeper:
    """charon, its tunnels, and the interfaces that follow them."""

    def __init__(self, gateway: settings.Gateway, held: int) -> None:
        """`held` is a descriptor of the namespace."""
        self.gateway = gateway
        self._held = held
        self._started = time.monotonic()
        self._inherited: list[namespace.Command] = []
        self._asked: dict[str, float] = {}

    @property
    def settled(self) -> bool:
        """Whether charon has had its time to bring the tunnels up."""
        return time.monotonic() - self._started > _SETTLING_SECONDS

    async def run(self) -> None:
        """Keeps charon running until cancelled; then lets it say goodbye, and sets all tunnels down."""
        pause, most = _PAUSE_SECONDS
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._run_once()
                except charon.CharonError as error:
                    log.error("%s", error)
                    if self.settled:
                        self._all_down()
                pause = _PAUSE_SECONDS[0] if time.monotonic() - began > most else min(pause * 2, most)
                await asyncio.sleep(pause)
        finally:
            self._all_down()
            run_each(left_over(self.gateway))

    async def _run_once(self) -> None:
        self._inherited = left_over_states(self.gateway)
        process = await charon.start()
        self._started = time.monotonic()
        try:
            charon.write_secrets(self.gateway.tunnels)
            await charon.load()
            following = asyncio.create_task(self._follow())
            ending = asyncio.create_task(process.wait())
            try:
                await asyncio.wait({following, ending}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()
            finally:
                following.cancel()
        finally:
            await charon.stop(process)
        log.error("charon ended with %s", process.returncode)

    async def _follow(self) -> None:
        """Compares now, on every event of charon, and now and then; again when charon does not answer."""
        while True:
            try:
                async with vici.session() as events:
                    await events.register("ike-updown")
                    await events.register("child-updown")
                    while True:
                        await self._compare()
                        await events.event(_COMPARE_SECONDS)
            except (vici.ViciError, namespace.CommandError) as error:
                log.warning("%s", error)
                await asyncio.sleep(1)

    async def _compare(self) -> None:
        inside = self._mend()
        async with vici.session() as session:
            now = tunnels.states(await session.stream("list-sas", "list-sa"))
            up = {link.name for link in inside.values() if link.up}
            for change in tunnels.changes(self.gateway.tunnels, now, up, self.settled):
                namespace.run(namespace.switch(change.tunnel, change.up))
                log.info("%s is %s", change.tunnel.connection, "up" if change.up else "down")
            if self.settled:
                run_each(self._inherited)
                self._inherited = []
                for tunnel in tunnels.to_start(self.gateway.tunnels, now):
                    await self._start(session, tunnel)

    def _mend(self) -> dict[str, namespace.Link]:
        """The interfaces in the namespace; what somebody took away is put back before: its name, interfaces."""
        if not namespace.is_named(self._held):
            log.warning("network namespace %s had lost its name", namespace.NAME)
            namespace.make(self._held)
        inside = namespace.links(inside=True)
        if any(namespace.creation(self.gateway, namespace.links(inside=False), inside)):
            log.warning("interfaces are missing and are made again")
            namespace.build(self.gateway)
            return namespace.links(inside=True)
        return inside

    async def _start(self, session: vici.Session, tunnel: settings.Tunnel) -> None:
        now = time.monotonic()
        if now - self._asked.get(tunnel.connection, 0.0) < _AGAIN_SECONDS:
            return
        self._asked[tunnel.connection] = now
        log.info("%s is started again", tunnel.connection)
        # -1: do not wait for the outcome
        request = {"ike": tunnel.connection, "child": tunnel.interface, "timeout": "-1"}
        with contextlib.suppress(vici.RefusedError):
            await session.command("initiate", request)

    def _all_down(self) -> None:
        run_each([namespace.switch(tunnel, up=False) for tunnel in self.gateway.tunnels])


def left_over_states(gateway: settings.Gateway) -> list[namespace.Command]:
    """Removal of the kernel's security associations of this gateway."""
    return tunnels.states_removal(namespace.run(("ip", "xfrm", "state", "list", "nokeys")), gateway.address)


def left_over(gateway: settings.Gateway) -> list[namespace.Command]:
    """Removal of the kernel's security associations and policies of this gateway: charon was killed."""
    policies = namespace.run(("ip", "xfrm", "policy", "list"))
    return left_over_states(gateway) + tunnels.policies_removal(policies, gateway.address)


def run_each(commands: list[namespace.Command]) -> None:
    """Runs the commands; one that fails stops no other: what it removes may be gone already."""
    for command in commands:
        try:
            namespace.run(command)
        except namespace.CommandError as error:
            log.warning("%s", error)


def take(gateway: settings.Gateway) -> int:
    """The namespace, from container frr or new, with everything in it."""
    received = handover.ask(handover.KEEPER)
    namespace.make(received.namespace if received else None)
    if received:
        log.info("network namespace taken back from container frr")
        received.giver.close()
    else:
        run_each(left_over(gateway))
    build(gateway)
    return received.namespace if received else os.open(namespace.PATH, os.O_RDONLY)


def build(gateway: settings.Gateway) -> None:
    """Fills the namespace. Interfaces of an older one keep their names and ids until the kernel has removed them."""
    end = time.monotonic() + _REMOVAL_SECONDS
    while True:
        try:
            return namespace.build(gateway)
        except namespace.CommandError as error:
            if time.monotonic() > end:
                raise
            log.warning("%s", error)
            time.sleep(_PAUSE_SECONDS[0])


async def serve(held: int, stopping: asyncio.Event) -> None:
    """Hands the namespace to whoever asks, until the container stops."""
    loop = asyncio.get_running_loop()
    takers: list[socket.socket] = []
    with handover.listening(handover.OWNER) as listener:
        loop.add_reader(listener, lambda: takers.append(handover.give(listener, held)))
        await stopping.wait()
        loop.remove_reader(listener)


async def main() -> None:
    """Runs until SIGTERM. The namespace is not removed then: it ends with the last container that holds it."""
    gateway = settings.read()
    held = take(gateway)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    keeper = asyncio.create_task(Keeper(gateway, held).run())
    keeper.add_done_callback(lambda _: stopping.set())
    await serve(held, stopping)
    keeper.cancel()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
    finally:
        namespace.unguard()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        asyncio.run(main())
    except namespace.CommandError as failure:
        sys.exit(f"gateway: {failure}")
