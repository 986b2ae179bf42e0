"""charon as a child process: its secrets, its start, its configuration, its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

from gateway import secrets, vici
from gateway.settings import Tunnel

PROGRAM = "/usr/lib/ipsec/charon"
_PID_FILE = Path("/run/charon.pid")
_SECONDS_TO_LISTEN = 20.0
_SECONDS_TO_LOAD = 30.0
_SECONDS_TO_STOP = 5.0

log = logging.getLogger("gateway.charon")


class CharonError(Exception):
    """charon could not be started or does not take its configuration."""


def write_secrets(tunnels: Iterable[Tunnel], keys: Path = secrets.KEYS, to: Path = secrets.CONFIGURATION) -> None:
    """Writes swanctl's secrets. A key that is missing is logged, and costs only its own tunnel."""
    found = []
    for tunnel in tunnels:
        try:
            found.append((tunnel, secrets.read_secret(keys / tunnel.connection)))
        except secrets.SecretError as error:
            log.error("%s has no pre-shared key: %s", tunnel.connection, error)
    secrets.write_private(to, secrets.swanctl_secrets(found))


async def start() -> asyncio.subprocess.Process:
    """Starts charon and waits until it listens. Raises CharonError where it does not."""
    # a killed charon leaves it, and the next one takes whoever has that number now for a running charon
    _PID_FILE.unlink(missing_ok=True)
    vici.SOCKET.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(PROGRAM)
    try:
        async with asyncio.timeout(_SECONDS_TO_LISTEN):
            while process.returncode is None and not await _listens():
                await asyncio.sleep(0.02)
    except TimeoutError:
        await stop(process)
    if process.returncode is not None:
        raise CharonError(f"charon ended with {process.returncode} before it was ready")
    return process


async def _listens() -> bool:
    with contextlib.suppress(vici.ViciError):
        async with vici.session() as session:
            await session.command("version")
            return True
    return False


async def load() -> None:
    """Loads secrets and connections. One that charon refuses is logged, and costs only its own tunnel."""
    process = await asyncio.create_subprocess_exec(
        "swanctl",
        "--load-all",
        "--noprompt",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_SECONDS_TO_LOAD):
            printed, _ = await process.communicate()
    except TimeoutError as error:
        process.kill()
        raise CharonError(f"charon did not take its configuration within {_SECONDS_TO_LOAD} s") from error
    for line in printed.decode(errors="replace").splitlines():
        log.info("swanctl: %s", line)


async def stop(process: asyncio.subprocess.Process) -> None:
    """Lets charon say goodbye to its peers (IKE DELETE), and ends it."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(_SECONDS_TO_STOP):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
