"""The edge to bgpd, against a stand-in that talks as bgpd does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from agent import frr
from agent.bmp import Initiation, Message, PeerUp, Termination
from agent.gate import Gate

from tests.unit.agent.test_bmp import bmp, per_peer
from tests.unit.agent.world import A

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Bgpd:
    """Answers commands on bgpd's socket; `refused` are refused, `answers` are said, all are kept in `heard`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self.refused: set[str] = set()
        self.answers: dict[str, str] = {}
        self.told = asyncio.Event()

    async def __aenter__(self) -> Bgpd:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await all_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line = (await reader.readuntil(b"\0"))[:-1].decode()
                self.heard.append(line)
                writer.write(self.answers.get(line, "").encode() + b"\0\0\0" + bytes([2 * (line in self.refused)]))
                self.told.set()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


async def all_closed() -> None:
    """Lets the loop end the connections whose other side is gone."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(frr, "SOCKET", tmp_path / "bgpd.vty")
    return tmp_path / "bgpd.vty"


def test_a_command_is_given_as_vtysh_does(path: Path) -> None:
    async def scene() -> None:
        async with Bgpd(path) as bgpd:
            bgpd.answers["show version"] = "FRRouting 10.3"

            assert await frr.command("show version") == "FRRouting 10.3"
            assert bgpd.heard == ["enable", "show version"]

    asyncio.run(scene())


def test_a_refused_command_says_so(path: Path) -> None:
    async def scene() -> None:
        async with Bgpd(path) as bgpd:
            bgpd.refused, bgpd.answers = {"configure terminal"}, {"configure terminal": "VTY configuration is locked"}

            with pytest.raises(frr.CommandError, match="configure terminal: VTY configuration is locked"):
                await frr.set_open(65020, True)

    asyncio.run(scene())


@pytest.mark.parametrize(("state", "helped"), [("Idle", True), ("Connect", False), ("Established", False)])
def test_only_an_idle_neighbor_is_made_anew(path: Path, state: str, helped: bool) -> None:
    async def scene() -> list[str]:
        async with Bgpd(path) as bgpd:
            bgpd.answers["show bgp neighbors 172.27.48.11"] = f"  BGP state = {state}"
            assert await frr.unstick(65020, "172.27.48.11") is helped
            return bgpd.heard

    anew = ["no neighbor 172.27.48.11", "neighbor 172.27.48.11 peer-group GATEWAYS"]
    assert asyncio.run(scene())[-2:] == (anew if helped else ["enable", "show bgp neighbors 172.27.48.11"])


def test_the_gate_tells_bgpd_until_it_listens(path: Path) -> None:
    async def scene() -> list[str]:
        gate = Gate(65020)
        gate.restarted()
        gate.want(True)
        async with Bgpd(path) as bgpd:
            bgpd.refused = {"configure terminal"}
            task = asyncio.create_task(gate.run())
            await asyncio.wait_for(bgpd.told.wait(), 5)
            bgpd.refused = set()
            while "no bgp shutdown" not in bgpd.heard:
                bgpd.told.clear()
                await asyncio.wait_for(bgpd.told.wait(), 5)
            task.cancel()
            return bgpd.heard

    assert asyncio.run(scene())[-3:] == ["configure terminal", "router bgp 65020", "no bgp shutdown"]


def test_the_gate_says_nothing_twice(path: Path) -> None:
    async def scene() -> list[str]:
        gate = Gate(65020)
        async with Bgpd(path) as bgpd:
            task = asyncio.create_task(gate.run())
            for is_open in (True, True, False):
                gate.want(is_open)
                word = "no bgp shutdown" if is_open else "bgp shutdown"
                while word not in bgpd.heard:
                    await asyncio.wait_for(bgpd.told.wait(), 5)
                    bgpd.told.clear()
            task.cancel()
            return [line for line in bgpd.heard if line.endswith("shutdown")]

    assert asyncio.run(scene()) == ["no bgp shutdown", "bgp shutdown"]


async def listen(handler: Handler) -> tuple[asyncio.Server, tuple[str, int]]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    return server, (host, port)


def test_the_stream_is_kept_up(path: Path) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bmp(4))
        await writer.drain()
        writer.close()

    async def scene() -> list[object]:
        server, address = await listen(serve)
        events = frr.Feed(address).events()
        found: list[object] = [await anext(events) for _ in range(5)]
        await events.aclose()
        server.close()
        await all_closed()
        return found

    opened, closed = frr.Opened(again=False), frr.Closed()
    assert asyncio.run(asyncio.wait_for(scene(), 30)) == [opened, [Initiation()], closed, opened, [Initiation()]]


def test_tables_are_read_again_without_frr_being_gone(path: Path) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.write(bmp(3, per_peer(A)))
        await reader.read()
        writer.close()

    async def scene() -> list[object]:
        server, address = await listen(serve)
        feed = frr.Feed(address)
        events = feed.events()
        found: list[object] = [await anext(events), await anext(events)]
        feed.read_again()
        found += [await anext(events), await anext(events)]
        await events.aclose()
        server.close()
        await all_closed()
        return found

    table: list[Message] = [PeerUp(A)]
    assert asyncio.run(scene()) == [frr.Opened(again=False), table, frr.Opened(again=True), table]
    assert len(connections) == 2


def test_what_is_not_bmp_ends_the_connection_and_not_the_agent(path: Path) -> None:
    greetings = iter([b"SSH-2.0-OpenSSH_9.2\r\n", bmp(5)])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(greetings))
        await reader.read()
        writer.close()

    async def scene() -> list[object]:
        server, address = await listen(serve)
        events = frr.Feed(address).events()
        found: list[object] = [await anext(events) for _ in range(4)]
        await events.aclose()
        server.close()
        await all_closed()
        return found

    opened = frr.Opened(again=False)
    assert asyncio.run(scene()) == [opened, frr.Closed(), opened, [Termination()]]
