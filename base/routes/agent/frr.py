"""The edge to bgpd: its BMP stream, and the few commands that the agent gives it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .bmp import Decoder, Malformed, Message

SOCKET = Path("/run/frr/bgpd.vty")
_SLOWEST = 5.0
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """A new connection: all tables follow. `again` where it is the same bgpd."""

    again: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """bgpd is gone."""


class Feed:
    """bgpd's BMP stream, kept up for ever."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._writer: asyncio.StreamWriter | None = None
        self._again = False

    def read_again(self) -> None:
        """Asks for all tables anew.

        FRR 10.3 stops sending changes while it has changes of a lost peer to pass over (pull request 19744 mends it),
        and ends the table only of peers that were up at the start of a connection. Route Mirroring, which would show
        both, makes its bgpd crash where nobody listens.
        """
        if self._writer and not self._writer.is_closing():
            self._again = True
            self._writer.close()

    async def events(self) -> AsyncGenerator[Opened | Closed | list[Message], None]:
        """What bgpd sends, as lists of messages, and what becomes of the connection."""
        wait = _FIRST_WAIT
        while True:
            try:
                reader, self._writer = await asyncio.open_connection(*self._address)
            except OSError:
                if self._again:
                    self._again = False
                    yield Closed()
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            wait = _FIRST_WAIT
            yield Opened(self._again)
            self._again = False
            try:
                async for messages in _messages(reader):
                    yield messages
            finally:
                await _close(self._writer)
            if not self._again:
                yield Closed()
                await asyncio.sleep(_FIRST_WAIT)


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[list[Message]]:
    decoder = Decoder()
    try:
        while data := await reader.read(1 << 18):
            if messages := list(decoder.feed(data)):
                yield messages
    except (OSError, Malformed) as error:
        log.warning("BMP: %s", error)


class CommandError(Exception):
    """bgpd did not take a command; the text is its answer."""


async def command(*lines: str) -> str:
    """Gives bgpd the commands, as vtysh would (lib/vty.c), and returns what it answers to the last.

    Raises CommandError where it refuses one, OSError or TimeoutError where it does not answer.
    """
    async with asyncio.timeout(_SLOWEST):
        reader, writer = await asyncio.open_unix_connection(SOCKET)
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
            await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


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
