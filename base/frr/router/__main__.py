"""Process 1 of container frr: runs FRR in network namespace `strongswan`, which container strongswan owns.

The namespace comes from there and is lent back when that container has restarted; see gateway/handover.py. Where a
new namespace has been made meanwhile, FRR is started again in it, so it never stays in one that nothing passes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from gateway import handover, secrets, settings

from router import configuration, drain

_PROGRAMS = Path("/usr/lib/frr")
_RUN = Path("/run/frr")
# mgmtd first: zebra takes its interfaces' configuration from it.
_DAEMONS = {"mgmtd": "mgmtd_be.sock", "zebra": "zserv.api", "bfdd": "bfdd.vty", "bgpd": "bgpd.vty"}
"""Each daemon, in the order of their start, and the socket that shows that it is there."""
_SECONDS_TO_START = 100.0
_SECONDS_TO_STOP = 3.0
_PAUSE_SECONDS = 1.0
_ASK_SECONDS = 0.2

log = logging.getLogger("router")


class RouterError(Exception):
    """FRR could not be started or does not take its configuration."""


async def namespace_from_owner() -> handover.Received:
    """Waits until container strongswan hands the namespace out."""
    log.info("waiting for the network namespace")
    while (received := handover.ask(handover.OWNER)) is None:
        await asyncio.sleep(_ASK_SECONDS)
    return received


async def replaced(received: handover.Received) -> None:
    """Returns when container strongswan has come back with another namespace than this one."""
    giver, loop = received.giver, asyncio.get_running_loop()
    while True:
        # it ends with the giver; nothing else ever comes
        with contextlib.suppress(OSError):
            await loop.sock_recv(giver, 1)
        giver.close()
        again = await namespace_from_owner()
        known = handover.same(again.namespace, received.namespace)
        giver = again.giver
        os.close(again.namespace)
        if not known:
            giver.close()
            return
        log.info("container strongswan is back in the same network namespace")


class Router:
    """FRR's daemons, run as one: when one ends, all are started again."""

    def __init__(self, namespace: int) -> None:
        self._namespace = namespace
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def run(self) -> None:
        """Starts FRR and returns when one of its daemons has ended. Raises RouterError where it does not start."""
        try:
            async with asyncio.timeout(_SECONDS_TO_START):
                for daemon, sign in _DAEMONS.items():
                    await self._start(daemon, _RUN / sign)
                await self._configure()
        except TimeoutError as error:
            raise RouterError(f"FRR did not start within {_SECONDS_TO_START} s") from error
        waiting = {asyncio.create_task(process.wait()) for process in self._running.values()}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        for daemon, process in self._running.items():
            if process.returncode is not None:
                log.error("%s ended with %s", daemon, process.returncode)

    async def stop(self) -> None:
        """Ends the daemons, bgpd first: it tells its peers."""
        for daemon in reversed(_DAEMONS):
            process = self._running.pop(daemon, None)
            if process and process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(_SECONDS_TO_STOP):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()

    async def _start(self, daemon: str, sign: Path) -> None:
        sign.unlink(missing_ok=True)
        # -P 0: no terminal over TCP. FRR reserves memory for every descriptor it may have: runtimes allow a million.
        self._running[daemon] = await asyncio.create_subprocess_exec(
            *("nsenter", f"--net=/proc/self/fd/{self._namespace}", "--", str(_PROGRAMS / daemon)),
            *("--log", "stdout", "-P", "0", "--limit-fds", "1024"),
            pass_fds=[self._namespace],
        )
        while not sign.exists():
            if self._running[daemon].returncode is not None:
                raise RouterError(f"{daemon} ended before it was ready")
            await asyncio.sleep(0.02)

    async def _configure(self) -> None:
        process = await asyncio.create_subprocess_exec("vtysh", "-b")
        if await process.wait() != 0:
            raise RouterError("FRR does not take /etc/frr/frr.conf")


async def route(gateway: settings.Gateway, received: handover.Received) -> None:
    """Runs FRR in this namespace until there is another one."""
    leaving = asyncio.create_task(replaced(received))
    takers: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    with handover.listening(handover.KEEPER) as listener:
        loop.add_reader(listener, lambda: takers.append(handover.give(listener, received.namespace)))
        try:
            while not leaving.done():
                configuration.write(gateway)
                router = Router(received.namespace)
                running = asyncio.create_task(router.run())
                try:
                    await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
                    if running.done():
                        running.result()
                finally:
                    running.cancel()
                    await router.stop()
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            leaving.cancel()
            loop.remove_reader(listener)
            for taker in takers:
                taker.close()
            # the last hold on it, unless container strongswan has one
            received.close()


async def keep(gateway: settings.Gateway) -> None:
    """Runs FRR in the namespace that container strongswan hands out, and in each that replaces it."""
    while True:
        await route(gateway, await namespace_from_owner())
        log.warning("container strongswan has made a new network namespace")


async def main() -> None:
    """Runs until SIGTERM."""
    # of an earlier stop of this container only
    drain.DRAINING.unlink(missing_ok=True)
    drain.DRAINED.unlink(missing_ok=True)
    keeping = asyncio.create_task(keep(settings.read()))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, keeping.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await keeping


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        asyncio.run(main())
    except (RouterError, secrets.SecretError) as failure:
        sys.exit(f"router: {failure}")
