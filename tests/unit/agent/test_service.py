"""The whole agent between a stand-in for bgpd and the real kernel."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from agent import frr, service
from agent.__main__ import cleanup
from agent.kernel import Kernel
from agent.probe import ask
from agent.service import Agent
from agent.settings import Mode

from tests.unit.agent.namespaces import ip
from tests.unit.agent.test_bmp import FIRST_RAW, attribute, bmp, per_peer, update
from tests.unit.agent.test_frr import Bgpd, all_closed, listen
from tests.unit.agent.world import AGENT_JSON, FIRST, TUNNEL, A, B, settings

pytestmark = pytest.mark.usefixtures("network")

_LONGEST = 10
ROUTES = Path(service.__file__).parents[1]


def table(peer: int) -> bytes:
    """A peer that announces the first prefix."""
    announcement = update(attributes=attribute(3, peer.to_bytes(4, "big")), announced=FIRST_RAW)
    return bmp(3, per_peer(peer)) + bmp(0, per_peer(peer) + announcement) + bmp(0, per_peer(peer) + update())


async def until(what: Callable[[], bool]) -> None:
    """Waits for something to become true."""
    async with asyncio.timeout(_LONGEST):
        while not what():
            await asyncio.sleep(0.01)


class Node:
    """A running agent; `tell` is bgpd speaking, and what a new connection hears first is in `tables`."""

    def __init__(self, agent: Agent, bgpd: Bgpd, folder: Path) -> None:
        self.agent, self.bgpd, self.folder = agent, bgpd, folder
        self.tables = b""
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        writer.write(bmp(4) + self.tables)
        await reader.read()
        writer.close()

    def tell(self, data: bytes) -> None:
        self.writers[-1].write(data)

    async def ask(self, question: str) -> str:
        reader, writer = await asyncio.open_unix_connection(self.folder / "agent.sock")
        writer.write(question.encode() + b"\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer.decode().strip()

    def ways(self) -> str:
        return ip("route", "show", str(FIRST))


@asynccontextmanager
async def node(mode: Mode, folder: Path, tables: bytes = b"") -> AsyncIterator[Node]:
    started: list[Node] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await started[0].serve(reader, writer)

    server, address = await listen(serve)
    async with Bgpd(folder / "bgpd.vty") as bgpd:
        kernel = Kernel(replace(settings(mode), bmp=address))
        running = Node(Agent(kernel.settings, kernel, folder), bgpd, folder)
        running.tables = tables
        started.append(running)
        task = asyncio.create_task(running.agent.run())
        try:
            await until(lambda: running.agent.rib.connected)
            yield running
        finally:
            running.agent.stop()
            server.close()
            for writer in running.writers:
                writer.close()
            await asyncio.wait_for(task, _LONGEST)
            assert running.agent.error is None
            await all_closed()
            kernel.close()


Scene = Callable[[Path], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Scene], None]:
    monkeypatch.setattr(frr, "SOCKET", tmp_path / "bgpd.vty")

    async def play_all(scene: Scene) -> None:
        await scene(tmp_path)

    return lambda scene: asyncio.run(play_all(scene))


Play = Callable[[Scene], None]


def test_announcements_reach_the_kernel(play: Play) -> None:
    async def scene(folder: Path) -> None:
        async with node(Mode.CLIENT, folder) as here:
            here.tell(table(A) + table(B))
            await until(lambda: here.ways().count("encap") == 2)

            here.tell(bmp(2, per_peer(A) + b"\x04"))
            await until(lambda: here.ways().count("encap") == 1)

            assert await here.ask("alive") == "yes"
            assert json.loads(await here.ask("routes")) == [
                {"prefix": "10.0.1.0/24", "ways": [{"metric": 500, "via": ["b"]}]}
            ]
            assert "10.0.1.0/24 via a b" in (folder / "routes.log").read_text()

    play(scene)


def test_routes_stay_when_frr_and_agent_are_gone(play: Play) -> None:
    async def scene(folder: Path) -> None:
        async with node(Mode.CLIENT, folder, table(A) + table(B)) as here:
            await until(lambda: here.ways().count("encap") == 2)
        before = (ip("route"), ip("nexthop"))
        async with node(Mode.CLIENT, folder) as here:
            assert await here.ask("ready") == "no"
            assert (ip("route"), ip("nexthop")) == before

            here.tell(table(A) + table(B))
            await until(lambda: here.agent.settled)

            assert (ip("route"), ip("nexthop")) == before
            assert await here.ask("ready") == "yes"

    play(scene)


def test_tables_are_read_again_after_a_session_is_lost(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_READ_AGAIN", (0.0,))

    async def scene(folder: Path) -> None:
        async with node(Mode.CLIENT, folder, table(A) + table(B)) as here:
            await until(lambda: here.ways().count("encap") == 2)
            here.tables = bmp(2, per_peer(A) + b"\x04") + bmp(3, per_peer(B)) + bmp(0, per_peer(B) + update())

            here.tell(bmp(2, per_peer(A) + b"\x04"))

            # b's withdrawal was held back by bgpd
            await until(lambda: here.ways() == "")

    play(scene)


def test_a_gateway_opens_bgp_only_while_it_can_carry_packets(play: Play) -> None:
    async def scene(folder: Path) -> None:
        async with node(Mode.REFLECTOR, folder, table(TUNNEL) + table(B)) as here:
            await until(lambda: here.bgpd.heard[-1:] == ["no bgp shutdown"])

            ip("link", "set", "cilium_vxlan", "down")
            await until(lambda: here.bgpd.heard[-1:] == ["bgp shutdown"])

            ip("link", "set", "cilium_vxlan", "up")
            await until(lambda: here.bgpd.heard[-1:] == ["no bgp shutdown"])
            await until(lambda: "dst 172.27.48.12" in here.ways())

    play(scene)


def test_what_is_removed_by_hand_comes_back(play: Play) -> None:
    async def scene(folder: Path) -> None:
        async with node(Mode.CLIENT, folder, table(A) + table(B)) as here:
            await until(lambda: here.ways().count("encap") == 2)

            ip("nexthop", "flush")

            await until(lambda: here.ways().count("encap") == 2)

    play(scene)


def test_all_comes_back_with_an_interface_that_was_deleted(play: Play) -> None:
    async def scene(folder: Path) -> None:
        async with node(Mode.REFLECTOR, folder, table(TUNNEL) + table(B)) as here:
            await until(lambda: "dev ss0" in here.ways() and "encap" in here.ways())

            ip("link", "del", "ss0")
            await until(lambda: "ss0" not in here.ways() and "encap" in here.ways())
            ip("link", "del", "cilium_vxlan")
            await until(lambda: here.ways() == "")

            ip("link", "add", "cilium_vxlan", "type", "vxlan", "external", "dstport", "8472")
            ip("link", "set", "cilium_vxlan", "up")
            ip("link", "add", "ss0", "type", "veth", "peer", "name", "inside")
            for name in ("inside", "ss0"):
                ip("link", "set", name, "up")
            # its address comes last, as it does where the pod makes it
            ip("address", "add", "169.254.100.1/30", "dev", "ss0")
            await until(lambda: "dev ss0" in here.ways() and "encap" in here.ways())
            assert "PERMANENT" in ip("neighbour", "show", "169.254.100.5", "dev", "cilium_vxlan")

    play(scene)


def test_what_is_in_the_way_is_said_once_and_gone_round(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(folder: Path) -> None:
        ip("route", "add", str(FIRST), "dev", "wire", "metric", "500")
        async with node(Mode.CLIENT, folder, table(A) + table(B)) as here:
            await until(lambda: len(here.agent.failures) == 1)
            first = here.agent.last_read
            await until(lambda: here.agent.last_read > first)
            assert await here.ask("ready") == "no"

            ip("route", "del", str(FIRST), "dev", "wire", "metric", "500")

            await until(lambda: here.ways().count("encap") == 2)
            assert await here.ask("ready") == "yes"

    play(scene)
    assert sum("File exists" in record.message for record in caplog.records) == 1


def test_an_agent_that_is_killed_leaves_all_and_its_successor_takes_over(tmp_path: Path) -> None:
    async def scene() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            writer.write(bmp(4) + table(A) + table(B))

        server, address = await listen(serve)
        bmp_listener = {"address": address[0], "port": address[1]}
        (tmp_path / "agent.json").write_text(json.dumps(AGENT_JSON | {"bmp": bmp_listener}))
        with running(tmp_path) as first:
            await until(lambda: ip("route", "show", str(FIRST)).count("encap") == 2)
            held = (ip("route"), ip("nexthop"))
            first.kill()
            first.wait()
        assert (ip("route"), ip("nexthop")) == held

        with running(tmp_path):
            await until(lambda: len(writers) > 1)
            await until(lambda: state(tmp_path).get("settled") is True)
            assert (ip("route"), ip("nexthop")) == held, "nothing was made anew"
            ip("route", "del", str(FIRST), "proto", "111")
            await until(lambda: ip("route", "show", str(FIRST)).count("encap") == 2)
        server.close()
        for writer in writers:
            writer.close()
        await all_closed()

    asyncio.run(scene())


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The agent as a process, with its state socket in the folder."""
    start = "import sys; from pathlib import Path; from agent import __main__ as main, service, settings\n"
    start += "service.Agent.__init__.__defaults__ = (Path(sys.argv[1]),)\n"
    start += "main.asyncio.run(main.work(settings.load(Path(sys.argv[1]) / 'agent.json', '172.27.48.20')))"
    process = subprocess.Popen([sys.executable, "-c", start, folder], env={"PYTHONPATH": str(ROUTES)})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def state(folder: Path) -> dict[str, object]:
    try:
        answer: dict[str, object] = json.loads(ask("state", str(folder / "agent.sock")))
    except OSError:
        return {}
    return answer


def test_released_the_node_holds_nothing_and_stays_so(play: Play) -> None:
    async def scene(folder: Path) -> None:
        before = (ip("route"), ip("nexthop"), ip("rule"))
        async with node(Mode.REFLECTOR, folder, table(TUNNEL) + table(B)) as here:
            await until(lambda: here.ways() != "")

            assert await here.ask("release") == "released"
            here.tell(table(TUNNEL))
            await until(lambda: here.bgpd.heard[-1:] == ["bgp shutdown"])

            assert (ip("route"), ip("nexthop"), ip("rule")) == before
            assert json.loads(await here.ask("state"))["released"] is True

    play(scene)


def test_an_agent_that_lost_touch_with_the_kernel_ends(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(folder: Path) -> None:
        async with node(Mode.CLIENT, folder) as here:

            def refuse(_: object) -> None:
                raise OSError("netlink is gone")

            monkeypatch.setattr(here.agent.kernel, "changes", lambda: refuse(None))
            ip("link", "set", "cilium_vxlan", "down")

            await until(lambda: here.agent.error is not None)
            assert str(here.agent.error) == "netlink is gone"
            here.agent.error = None

    play(scene)


def test_cleaning_up_without_a_running_agent(play: Play) -> None:
    before = (ip("route"), ip("nexthop"), ip("rule"))

    async def scene(folder: Path) -> None:
        async with node(Mode.CLIENT, folder, table(A) + table(B)) as here:
            await until(lambda: here.ways().count("encap") == 2)

    play(scene)

    assert cleanup(settings(Mode.CLIENT)) == 0

    assert (ip("route"), ip("nexthop"), ip("rule")) == before
    assert ip("neighbour", "show", "dev", "cilium_vxlan", "nud", "permanent") == ""
