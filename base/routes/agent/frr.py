"""The edge to bgpd: its BMP stream, and the few commands that the agent gives it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from .bmp import Decoder, Lost, Malformed, Message

SOCKET = Path("/run/frr/bgpd.vty")
_SLOWEST = 5.0
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 1.0

log = logging.getLogger(__name__)


async def stream(address: tuple[str, int]) -> AsyncIterator[list[Message] | None]:
    """What bgpd sends, for ever: lists of messages; an empty one for each new connection, None when it ended."""
    wait = _FIRST_WAIT
    while True:
        try:
            reader, writer = await asyncio.open_connection(*address)
        except OSError:
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            continue
        wait = _FIRST_WAIT
        yield []
        decoder = Decoder()
        try:
            while data := await reader.read(1 << 18):
                if messages := list(decoder.feed(data)):
                    yield messages
                if any(isinstance(message, Lost) for message in messages):
                    log.warning("BMP: messages were lost, the tables are read anew")
                    break
        except (OSError, Malformed) as error:
            log.warning("BMP: %s", error)
        finally:
            writer.close()
        yield None
        await asyncio.sleep(_FIRST_WAIT)


class CommandError(Exception):
    """bgpd did not take a command; the text is its answer."""


async def command(*lines: str, path: Path = SOCKET) -> str:
    """Gives bgpd the commands, as vtysh would (lib/vty.c), and returns what it answers to the last.

    Raises CommandError where it refuses one, OSError or TimeoutError where it does not answer.
    """
    async with asyncio.timeout(_SLOWEST):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            answer = ""
            for line in ("enable", *lines):
                writer.write(line.encode() + b"\0")
                # three zero bytes and the result
                raw = await reader.readuntil(b"\0\0\0")
                result = (await reader.readexactly(1))[0]
                answer = raw[:-3].decode(errors="replace").strip()
                if result not in (0, 1):
                    raise CommandError(f"{line}: {answer}")
            return answer
        except asyncio.IncompleteReadError as error:
            raise CommandError("bgpd closed its socket") from error
        finally:
            writer.close()


async def configure(asn: int, lines: Sequence[str]) -> None:
    """Gives configuration commands below `router bgp`. Raises as `command` does."""
    await command("configure terminal", f"router bgp {asn}", *lines)


async def set_open(asn: int, is_open: bool) -> None:
    """Opens or closes all BGP sessions of a gateway's node."""
    await configure(asn, ["no bgp shutdown" if is_open else "bgp shutdown"])


async def unstick(asn: int, neighbor: str) -> bool:
    """Makes a neighbor anew that will not begin by itself; says whether it was one.

    FRR 10.3 leaves a neighbor Idle while its BFD session is down, but a gateway has no BFD session for a node that is
    not connected (FRRouting/frr pull request 18562, in 10.3.1). A new neighbor has no BFD session to wait for.
    """
    shown = await command(f"show bgp neighbors {neighbor}")
    if "BGP state = Idle" not in shown:
        return False
    await configure(asn, [f"no neighbor {neighbor}", f"neighbor {neighbor} peer-group GATEWAYS"])
    return True
